"""Figures of countries: where accounts pay, and where their callers sit."""

from collections.abc import Iterator
from pathlib import Path

import hand_ledger as hand
import pytest
from hand_ledger import ROWS, spend, tokens, totals
from study_series import draw

from tidegate.catalog import load_catalog
from tidegate.study.facts import Facts, open_facts
from tidegate.study.params import Params

CONTINENT = {"US": "North America", "DE": "Europe", "SG": "Asia"}
PAYING = [row for row in ROWS if row.billing_country]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    ledger = hand.write(Path(tmp_path_factory.mktemp("places")) / "ledger")
    yield open_facts(ledger, load_catalog())


@pytest.mark.parametrize(("measure", "value"), [("tokens", tokens), ("spend", spend), ("calls", hand.one)])
def test_countries_are_shares_of_what_has_one(measure: str, value: object, facts: Facts) -> None:
    """Table 3: calls without a billing country are missing, not a country of their own."""
    result = draw(facts, "country_table", Params(measure=measure))  # type: ignore[arg-type]
    found = totals(PAYING, lambda row: row.billing_country, value)  # type: ignore[arg-type]
    whole = sum(found.values())
    assert {cell.groups["country"]: cell.share for cell in result.rows} == pytest.approx(
        {name: amount / whole for name, amount in found.items()}
    )
    everything = sum(map(value, ROWS))  # type: ignore[arg-type]
    assert result.missing_share == pytest.approx(1 - whole / everything)
    assert [cell.value for cell in result.rows] == sorted(found.values(), reverse=True)


def test_continents_add_up_their_countries(facts: Facts) -> None:
    """Table 2."""
    found = totals(PAYING, lambda row: CONTINENT[row.billing_country or ""])
    result = draw(facts, "continent_table")
    assert {cell.groups["continent"]: cell.value for cell in result.rows} == found


def test_regions_over_time_are_of_spend_whatever_is_asked(facts: Facts) -> None:
    """Figure 29 is of money where the tables are of tokens: a published contradiction that has its reason here."""
    result = draw(facts, "region_spend", Params(measure="tokens"))
    expected = hand.shares(hand.sums(PAYING, lambda row: CONTINENT[row.billing_country or ""], spend))
    found = {(cell.period, cell.groups["continent"]): cell.share for cell in result.rows if cell.share}
    assert found == pytest.approx(expected)
    assert result.unit == "nano-USD"


def test_paying_and_calling_countries_are_compared(facts: Facts) -> None:
    """Accounts that pay in Singapore are called from China here; those without an address's country are missing."""
    result = draw(facts, "billing_and_ip")
    rows = [row for row in PAYING if row.ip_country]
    found = totals(rows, lambda row: f"{row.billing_country} {row.ip_country}")
    assert {f"{c.groups['billing_country']} {c.groups['ip_country']}": c.value for c in result.rows} == found
    same = (found["US US"] + found["DE DE"]) / sum(found.values())
    assert f"{100 * same:.1f} % of the tokens is called from the country that pays for it." in result.notes
