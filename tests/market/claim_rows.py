"""Claims written down in a test, read through a file as a user's are."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tidegate.market.book import read_claims
from tidegate.market.check import check_claims
from tidegate.market.claim import Claim
from tidegate.market.finding import Finding

COLUMNS = "id|seed_file|entity|metric|scope|period_start|period_end|value|unit|as_stated|note"
Found = tuple[str, str, frozenset[str]]


def claims_of(text: str, columns: str = COLUMNS) -> tuple[Claim, ...]:
    """One claim a line, columns separated by |."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "claims.csv"
        rows = [line.strip() for line in text.strip().splitlines()]
        lines = [",".join(f'"{cell.strip()}"' for cell in row.split("|")) for row in [columns, *rows]]
        path.write_text("\n".join(lines), "utf-8")
        return read_claims([path])


def findings(text: str, evidence: str = "") -> tuple[Finding, ...]:
    return check_claims(claims_of(text), claims_of(evidence) if evidence else ())


def keys(text: str, evidence: str = "") -> set[Found]:
    """(kind, verdict, claims) of every finding."""
    return {(one.kind, one.verdict, frozenset(one.claims)) for one in findings(text, evidence)}


def alarms(text: str, evidence: str = "") -> set[Found]:
    return {(one.kind, one.verdict, frozenset(one.claims)) for one in findings(text, evidence) if one.is_alarm}
