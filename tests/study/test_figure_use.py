"""Figures that readers asked for: apps, measures side by side, accounts with several models, outliers; and lengths."""

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import hand_ledger as hand
import pytest
from hand_ledger import ROWS, one, spend, strong_tags, tokens, top_category, totals, weight
from hypothesis import given
from hypothesis import strategies as st
from study_series import draw

from tidegate.catalog import load_catalog
from tidegate.core.row import Row
from tidegate.study.facts import Facts, open_facts
from tidegate.study.params import Params
from tidegate.study.periods import Coverage
from tidegate.study.pivot import pivot
from tidegate.study.shares import REST, Table


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    ledger = hand.write(Path(tmp_path_factory.mktemp("use")) / "ledger")
    yield open_facts(ledger, load_catalog())


def model(row: Row) -> str:
    return row.response_model or ""


def test_apps_are_shares_of_calls_that_name_one(facts: Facts) -> None:
    rows = [row for row in ROWS if row.app]
    result = draw(facts, "app_share")
    found = {(cell.period, cell.groups["app"]): cell.share for cell in result.rows if cell.share}
    assert found == pytest.approx(hand.shares(hand.sums(rows, lambda row: row.app)))
    assert result.missing_share == pytest.approx(1 - sum(map(tokens, rows)) / sum(map(tokens, ROWS)))


def test_who_uses_a_model_is_told_by_app(facts: Facts) -> None:
    rows = [row for row in ROWS if row.app]
    found = {(c.groups["model"], c.groups["app"]): c.share for c in draw(facts, "app_models").rows}
    of_model = totals(rows, model)
    for name in ("anthropic/claude-sonnet-4", "openai/gpt-4o-mini"):
        held = totals([row for row in rows if model(row) == name], lambda row: row.app)
        for app, value in held.items():
            assert found[name, app] == pytest.approx(value / of_model[name])


def test_measures_stand_side_by_side_and_say_what_a_token_is_worth(facts: Facts) -> None:
    """Of rows that have all measures: a call of unknown cost would make its author's tokens look cheap."""
    rows = [row for row in ROWS if row.cost_nano_usd is not None]
    shares = {
        measure: {name: amount / sum(map(value, rows)) for name, amount in totals(rows, model, value).items()}
        for measure, value in (("tokens", tokens), ("calls", one), ("spend", spend))
    }
    found = {(c.groups["model"], c.groups["measure"]): c for c in draw(facts, "model_value").rows}
    for measure, by_model in shares.items():
        for name, share in by_model.items():
            assert found[name, measure].share == pytest.approx(share)
    claude = "anthropic/claude-sonnet-4"
    worth = shares["spend"][claude] / shares["tokens"][claude]
    assert found[claude, "value per token"].value == round(worth, 4)
    authors = {(c.groups["author"], c.groups["measure"]): c for c in draw(facts, "measure_shares").rows}
    assert authors["deepseek", "tokens"].share == pytest.approx(
        shares["tokens"]["deepseek/deepseek-r1"] + shares["tokens"]["deepseek/deepseek-chat-v3-0324"]
    )


def test_accounts_with_several_models_and_several_authors(facts: Facts) -> None:
    """In each week `acme` uses many authors, `bolt` two models of one, `cove` a single model."""
    found = {
        (c.period, c.groups["statistic"]): (c.value, c.share)
        for c in draw(facts, "multihoming").rows
        if c.groups["unit"] == "account"
    }
    for week in hand.WEEKS:
        used: dict[str, set[str]] = defaultdict(set)
        amount: dict[str, int] = defaultdict(int)
        for row in ROWS:
            if hand.week_of(row) == week and tokens(row):
                used[row.tenant_id or ""].add(model(row))
                amount[row.tenant_id or ""] += tokens(row)
        several = [name for name, models in used.items() if len(models) > 1]
        authors = [name for name in used if len({m.partition("/")[0] for m in used[name]}) > 1]
        key = week.isoformat()
        assert found[key, "several models"] == (len(several), pytest.approx(len(several) / len(used)))
        assert found[key, "several authors"] == (len(authors), pytest.approx(len(authors) / len(used)))
        share = sum(amount[name] for name in several) / sum(amount.values())
        assert found[key, "use by the former"][1] == pytest.approx(share)


def test_the_account_that_bends_a_week_is_named(facts: Facts) -> None:
    result = draw(facts, "outlier_accounts")
    for cell in result.rows:
        rows = [row for row in ROWS if hand.week_of(row).isoformat() == cell.period]
        if cell.groups["of"] == "tool calls":
            rows = [row for row in rows if row.finish_reason == "tool_calls"]
        held = totals(rows, lambda row: row.tenant_id)
        assert cell.value == held[cell.groups["account"]]
        assert cell.share == pytest.approx(held[cell.groups["account"]] / sum(held.values()))
    assert {cell.groups["account"] for cell in result.rows if cell.groups["of"] == "everything"} >= {"acme"}


def bucket_width(value: int) -> int:
    """Of a histogram that keeps 7 significant bits."""
    return 1 if value < 128 else 1 << (value.bit_length() - 7)


def test_prompt_length_by_category_has_mean_median_and_p90(facts: Facts) -> None:
    """Figure 16: weighted; the mean exact, quantiles to the width of their bucket."""
    found = {
        (c.period, c.groups["category"], c.groups["statistic"]): c.value
        for c in draw(facts, "prompt_length_by_category").rows
    }
    for week in hand.WEEKS:
        lengths = sorted(
            row.usage_input_tokens or 0
            for row in ROWS
            if hand.week_of(row) == week and top_category(row) == "programming"
            for _ in range(weight(row))
        )
        key = week.isoformat(), "programming"
        assert found[*key, "mean"] == round(sum(lengths) / len(lengths), 2)
        for statistic, q in (("median", 0.5), ("p90", 0.9)):
            exact = lengths[math.ceil(q * len(lengths)) - 1]
            assert abs((found[*key, statistic] or 0) - exact) <= bucket_width(exact)


def test_programming_calls_beside_all_calls(facts: Facts) -> None:
    """Figure 18: all calls are counted once each, programming ones by their sampling weight."""
    found = {
        (c.period, c.groups["calls"]): c.value
        for c in draw(facts, "programming_length").rows
        if c.groups["statistic"] == "mean"
    }
    for week in hand.WEEKS:
        rows = [r for r in ROWS if hand.week_of(r) == week and r.usage_input_tokens is not None]
        coding = [row for row in rows if strong_tags(row) and top_category(row) == "programming"]
        assert found[week.isoformat(), "all calls"] == round(sum(map(tokens, rows)) / len(rows), 2)
        weights = sum(map(weight, coding))
        assert found[week.isoformat(), "programming"] == round(sum(tokens(r) * weight(r) for r in coding) / weights, 2)


def test_a_table_for_people_has_what_the_figure_puts_down(facts: Facts) -> None:
    """Periods unless a figure says otherwise; a header for a single column is its unit."""
    assert pivot(draw(facts, "app_share")).columns == ("week of", "editor", "chat")
    assert pivot(draw(facts, "country_table")).columns == ("country", "tokens")
    bands = pivot(draw(facts, "author_categories"))
    assert bands.columns[0] == "author, week of"
    assert len(bands.rows) == len({row[0] for row in bands.rows}) == 6 * len(hand.WEEKS)


AMOUNTS = st.dictionaries(
    st.sampled_from(hand.WEEKS), st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 2**70))
)


@given(AMOUNTS, st.integers(1, 5))
def test_the_largest_and_the_rest_add_up_to_the_whole(sums: dict[object, dict[str, int]], number: int) -> None:
    """Whatever the groups: naming the largest and adding up the others loses nothing, and renaming neither."""
    coverage = Coverage(kept=tuple(hand.WEEKS), partial=False, dropped=(), gaps=(), sparse=(), grain="week")
    table = Table(sums=sums, coverage=coverage, n=0, n_of="", unmeasured=0, unmetered=0)  # type: ignore[arg-type]
    kept, names = table.top(number, rest=True)
    assert kept.total() == table.total()
    assert len([name for name in names if name != REST]) <= number
    assert table.regrouped(lambda name: name[:1]).total() == table.total()
    largest = [table.total(name) for name in names if name != REST]
    assert largest == sorted(largest, reverse=True)


def test_a_view_of_the_largest_models_has_no_others(facts: Facts) -> None:
    """The leaderboard's view: of each week the two largest models by the measure, variants apart."""
    result = draw(facts, "oss_split", Params(top=2))
    amounts = hand.sums(ROWS, model)
    for week in hand.WEEKS:
        two = sorted((value for (when, _), value in amounts.items() if when == week), reverse=True)[:2]
        assert sum(int(c.value or 0) for c in result.rows if c.period == week.isoformat()) == sum(two)
