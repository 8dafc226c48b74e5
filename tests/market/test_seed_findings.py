"""The claims of the five source texts, with the findings that a reader worked out by hand."""

import csv
from pathlib import Path

import pytest

from tidegate.market.book import read_claims, shipped_claims
from tidegate.market.check import check_claims

DATA = Path("/work/shared/data")
CLAIMS, FINDINGS = DATA / "seed_claims.csv", DATA / "seed_claim_findings.csv"
READER = {"F08", "F13", "F26", "F29", "F30"}  # a reader is needed; two of them are found all the same
EXTERNAL = {"F06", "F07", "F11", "F27", "F28"}  # evidence rows are needed; F28 is about a map, not about claims
ALARMS_MAX = 2

pytestmark = pytest.mark.skipif(not FINDINGS.exists(), reason="the shared seed claims are not on this machine")


def expected() -> dict[str, tuple[str, str, frozenset[str]]]:
    with FINDINGS.open(encoding="utf-8", newline="") as file:
        return {
            row["id"]: (row["kind"], row["verdict"], frozenset(row["claims"].split(";")))
            for row in csv.DictReader(file)
        }


def test_what_claims_alone_can_show_is_found() -> None:
    found = {(one.kind, one.verdict, frozenset(one.claims)) for one in check_claims(read_claims([CLAIMS]))}
    missing = {name for name, key in expected().items() if key not in found}
    assert missing <= (READER - {"F08", "F13"}) | EXTERNAL


def test_with_the_shipped_claims_as_evidence_the_external_ones_are_found_too() -> None:
    """Scope and month of Google's totals, the first weekly lead, China's users: rows of data/market/claims.csv."""
    findings = check_claims(read_claims([CLAIMS]), shipped_claims(documents=False))
    found = {(one.kind, one.verdict, frozenset(one.claims)) for one in findings}
    assert {name for name, key in expected().items() if key not in found} == {"F26", "F28", "F29", "F30"}


def test_hardly_anything_else_is_alarming() -> None:
    for evidence in ((), shipped_claims(documents=False)):
        findings = check_claims(read_claims([CLAIMS]), evidence)
        known = set(expected().values())
        false = [
            one for one in findings if one.is_alarm and (one.kind, one.verdict, frozenset(one.claims)) not in known
        ]
        assert len(false) <= ALARMS_MAX, false


def test_the_monthly_500_yi_is_off_by_ten_thousand_with_its_arithmetic() -> None:
    """16.4e12 a day x 31 days of May = 508.4e12, against 50e9."""
    finding = next(one for one in check_claims(read_claims([CLAIMS])) if one.kind == "scale_slip")
    assert finding.claims == ("S3-11", "S3-12")
    assert finding.test == "1.64e13 x 31 = 5.084e14"
    assert "10^-4" in finding.found and "亿 and 万亿" in finding.found
    assert finding.reading == "5e14 tokens"
