"""Charts of retention, prices and value, on made-up ledgers that carry them."""

import datetime as dt
import json

import pytest
from cohort_ledger import cohort_ledger, make_call

from tidegate.catalog import load_catalog
from tidegate.core.row import TaskTag
from tidegate.ledger.imports import run_import
from tidegate.ledger.outcomes import Judgement, append
from tidegate.ledger.store import Ledger
from tidegate.report.charts import export, vega_lite
from tidegate.study.facts import Facts, open_facts
from tidegate.study.figures import FIGURES
from tidegate.study.params import Params

MONTHS = [f"2025-{month:02d}" for month in range(1, 6)]
MONDAY = dt.date(2026, 1, 5)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Forty accounts a month that leave one by one; enough to be compared."""
    uses = [
        (f"{begin}-{number}", "openai/gpt-4o-mini", month)
        for begin in range(5)
        for number in range(40)
        for later, month in enumerate(MONTHS[begin:])
        if later == 0 or number % (later + begin + 1) == 0
    ]
    return open_facts(cohort_ledger(tmp_path_factory.mktemp("u") / "l", uses, until="2025-05"), load_catalog())


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Six models over eight weeks, of which two become cheaper."""
    folder = tmp_path_factory.mktemp("p")
    lines, priced = (
        ["Date,Model,Prompt,Completion,Reasoning,Total_Tokens"],
        ["model,valid_from,input_usd_per_mtok,output_usd_per_mtok"],
    )
    for number in range(6):
        name = f"acme/m{number}"
        priced.append(f"{name},2025-12-01,{number + 1},{3 * number + 2}")
        if number < 2:
            priced.append(f"{name},{MONDAY + dt.timedelta(weeks=3 + number)},{(number + 1) / 2},{number + 1}")
        for day in range(56):
            tokens = (number + 2) * (1 + day % (5 + number) / 7) * (1.5 if number < 2 and day > 25 else 1)
            lines.append(
                f"{MONDAY + dt.timedelta(days=day)},{name},{tokens:.6f},{tokens / 4:.6f},0,{tokens * 1.25:.6f}"
            )
    (folder / "series.csv").write_text("\n".join(lines), "utf-8")
    (folder / "prices.csv").write_text("\n".join(priced), "utf-8")
    ledger = Ledger.create(folder / "ledger")
    run_import("openrouter-daily", [folder / "series.csv"], ledger)
    return open_facts(ledger, load_catalog(), prices_file=folder / "prices.csv")


@pytest.fixture(scope="module")
def value(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Twelve judged calls of two models."""
    tags = [TaskTag(path="/Health", confidence_ppm=900_000)]
    rows = [
        make_call(
            number,
            dt.datetime(2026, 3, 2 + number, tzinfo=dt.UTC),
            response_model=("openai/gpt-4o-mini", "qwen/qwen3-32b")[number % 2],
            cost_nano_usd=1000 * number,
            task_tags=tags,
        )
        for number in range(12)
    ]
    ledger = Ledger.create(tmp_path_factory.mktemp("v") / "ledger")
    ledger.add_rows(rows, [], unit="hand", origin="a test")
    for row in rows:
        append(ledger, Judgement(generation_id=row.generation_id, ts=row.ts, tenant_id="a", accepted=row.ts % 3 > 0))
    append(ledger, Judgement(generation_id=rows[0].generation_id, ts=rows[0].ts, tenant_id="a", accepted=True))
    return open_facts(ledger, load_catalog())


@pytest.mark.parametrize(
    ("carrier", "name"),
    [("users", name) for name in ("retention", "user_flow", "survival", "cohort_tests")]
    + [
        ("prices", name)
        for name in ("model_cost", "market_map", "segments", "price_elasticity", "price_cuts", "jevons")
    ]
    + [("value", name) for name in ("acceptance", "cost_per_accepted")],
)
def test_a_chart_compiles_and_shows_what_the_figure_found(
    carrier: str, name: str, request: pytest.FixtureRequest
) -> None:
    """It has data, no value that is not a number, and says in words what it is."""
    facts = request.getfixturevalue(carrier)
    result = FIGURES[name].draw(facts, facts.sources[0], Params())

    spec = vega_lite(result)
    drawn = export(result, "svg")

    assert result.rows
    assert "NaN" not in json.dumps(spec)
    assert b"NaN" not in drawn and drawn.count(b"<path") > 3
    assert result.definition in spec["description"]


def test_a_rate_and_its_interval_stay_within_zero_and_one(users: Facts) -> None:
    """Of survival and of retention alike."""
    for name in ("survival", "retention"):
        for cell in FIGURES[name].draw(users, users.sources[0], Params()).rows:
            number = cell.share if name == "retention" else cell.value
            if cell.groups.get("statistic") != "at risk":
                assert number is not None and 0 <= number <= 1
