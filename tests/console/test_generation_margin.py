"""`GET /api/v1/generation` tells a tenant what it pays; what the provider charges is the operator's business."""

from typing import Any

import pytest

from tidegate.accounts.money.terms import add_term
from tidegate.accounts.tenancy import now_us
from tidegate.core.row import Outcome
from tidegate.core.terms import Term
from tidegate.ledger.journal import journal_files, read_journal

from .office import Office, exact


def told(office: Office, generation_id: str, token: str | None = None) -> dict[str, Any]:
    path = f"/api/v1/generation?id={generation_id}"
    reply = office.ask_as_key(path) if token is None else office.ask("GET", path, token)
    assert reply.status_code == 200, reply.text
    return dict(exact(reply)["data"])


def newest(office: Office) -> str:
    items = [item for path in journal_files(office.ledger.journal_path) for item in read_journal(path)]
    return next(item.row.generation_id for item in reversed(items) if isinstance(item, Outcome))


@pytest.fixture
def generation_id(office: Office) -> str:
    """Charged 1,200 nano-USD for what cost 1,000."""
    office.calls(1200, upstream_cost_nano_usd=1000, operator_loss_nano_usd=7)
    return newest(office)


def test_without_price_groups_everybody_sees_both(office: Office, generation_id: str) -> None:
    """Nobody takes a margin: there is nothing to hide."""
    found = told(office, generation_id)
    assert (found["total_cost"], found["upstream_inference_cost"]) == ("0.0000012", "0.000001")


def test_a_margin_is_the_operators_to_see(office: Office, generation_id: str) -> None:
    """The tenant's key, and its own service key, are told the charge; the operator's service key both."""
    add_term(office.database, "retail", Term(term_id="", margin_ppm=200_000), now_us())
    for token in (None, office.service["owner"]):
        found = told(office, generation_id, token)
        assert found["total_cost"] == found["usage"] == "0.0000012"
        assert found["upstream_inference_cost"] is None
        row = found["tidegate_row"]
        assert row["cost_nano_usd"] == 1200
        assert row.get("upstream_cost_nano_usd") is None and row.get("operator_loss_nano_usd") is None
    found = told(office, generation_id, office.operators["owner"])
    assert (found["total_cost"], found["upstream_inference_cost"]) == ("0.0000012", "0.000001")
    assert found["tidegate_row"]["operator_loss_nano_usd"] == 7


def test_a_call_at_cost_shows_that_it_was(office: Office) -> None:
    """Of who pays what the provider charges nothing is to be learnt."""
    add_term(office.database, "retail", Term(term_id="", margin_ppm=200_000), now_us())
    office.calls(1000, upstream_cost_nano_usd=1000)
    generation_id = newest(office)
    assert told(office, generation_id)["upstream_inference_cost"] == "0.000001"
