"""Figures of models and time on a ledger written by hand: every number worked out by a loop over its rows."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import hand_ledger as hand
import pytest
from hand_ledger import OPEN, REASONS, ROWS, SIZE, is_open, shares, spend, sums, tokens, totals
from study_series import draw

from tidegate.catalog import load_catalog
from tidegate.core.row import Row
from tidegate.study.facts import Facts, open_facts
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result
from tidegate.study.sizes import parameter_class, price_class


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    ledger = hand.write(Path(tmp_path_factory.mktemp("hand")) / "ledger")
    yield open_facts(ledger, load_catalog())


def shares_of(result: Result, column: str) -> dict[tuple[str, str], float]:
    """(period, group) -> share, of the cells that have any."""
    return {(cell.period, cell.groups[column]): cell.share for cell in result.rows if cell.share}


def model(row: Row) -> str:
    return row.response_model or ""


def test_open_and_closed_split_by_week(facts: Facts) -> None:
    """Figures 1 and 2: the same sums, once as shares and once as amounts."""
    expected = sums(ROWS, lambda row: OPEN[model(row)])
    assert shares_of(draw(facts, "oss_split"), "source_type") == pytest.approx(shares(expected))
    volume = draw(facts, "volume_by_type")
    amounts = {(cell.period, cell.groups["source_type"]): cell.value for cell in volume.rows if cell.value}
    assert amounts == {(week.isoformat(), name): value for (week, name), value in expected.items() if value}
    weeks = [sum(v for (week, _), v in expected.items() if week == day) for day in hand.WEEKS]
    assert f"The last week has {weeks[-1] / weeks[0]:.2f} times the first one's tokens." in volume.notes


@pytest.mark.parametrize(("measure", "value"), [("tokens", tokens), ("calls", hand.one), ("spend", spend)])
def test_every_share_can_be_asked_in_tokens_calls_or_spend(facts: Facts, measure: str, value: object) -> None:
    expected = shares(sums(ROWS, lambda row: OPEN[model(row)], value))  # type: ignore[arg-type]
    result = draw(facts, "oss_split", Params(measure=measure))  # type: ignore[arg-type]
    assert shares_of(result, "source_type") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        (Params(include_free=False), lambda row: row.model_variant != "free"),
        (Params(include_cloaked=False), lambda row: OPEN[model(row)] != "cloaked"),
        (Params(include_byok=False), lambda row: not row.is_byok),
        (Params(without_accounts=("acme",)), lambda row: row.tenant_id != "acme"),
    ],
)
def test_switches_leave_rows_out_as_if_they_were_not_there(facts: Facts, params: Params, kept: object) -> None:
    rows = [row for row in ROWS if kept(row)]  # type: ignore[operator]
    result = draw(facts, "oss_split", params)
    assert shares_of(result, "source_type") == pytest.approx(shares(sums(rows, lambda row: OPEN[model(row)])))
    assert result.n == len(rows)


def test_without_accounts_a_figure_by_country_is_refused(facts: Facts) -> None:
    """The rollup by country does not know accounts: better no figure than one with the account in it."""
    with pytest.raises(NotComputable, match="tenant_id"):
        draw(facts, "country_table", Params(without_accounts=("acme",)))


def test_the_largest_open_models_are_shares_of_their_own_sum(facts: Facts) -> None:
    """Figure 3: closed, cloaked and unknown models are not in its hundred per cent."""
    expected = shares(sums(ROWS, lambda row: model(row) if is_open(row) else None))
    result = draw(facts, "top_open_models")
    assert shares_of(result, "model") == pytest.approx(expected)
    whole = sum(map(tokens, ROWS))
    assert result.missing_share == pytest.approx(totals(ROWS, model)["stranger/unheard-of"] / whole)


def test_open_models_by_size_in_tokens_and_in_number(facts: Facts) -> None:
    """Figures 4 and 5; a model of exactly 70 billion parameters is large."""
    openly = [row for row in ROWS if is_open(row)]
    result = draw(facts, "open_by_size")
    assert shares_of(result, "size") == pytest.approx(shares(sums(openly, lambda row: SIZE[model(row)])))
    counted = draw(facts, "models_by_size")
    for week in hand.WEEKS:
        used = {model(row) for row in openly if hand.week_of(row) == week and tokens(row)}
        large = sum(SIZE[name] == "large" for name in used)
        found = {c.groups["size"]: (c.value, c.share) for c in counted.rows if c.period == week.isoformat()}
        assert found["large"] == (large, pytest.approx(large / len(used)))
        assert found["small"][0] == len(used) - large


def test_size_may_go_by_what_is_active_or_by_price(facts: Facts) -> None:
    """A mixture of 671 billion parameters has 37 billion active: medium; the classes are cut as stated."""
    active = draw(facts, "open_by_size", Params(size_by="active"))
    whole = {c.period: 0 for c in active.rows}
    for row in ROWS:
        if is_open(row):
            whole[hand.week_of(row).isoformat()] += tokens(row)
    deepseek = sums(ROWS, lambda row: "deepseek" if OPEN[model(row)] == "open_cn" else None)
    medium = {c.period: c.share for c in active.rows if c.groups["size"] == "medium"}
    for (week, _), value in deepseek.items():
        assert medium[week.isoformat()] == pytest.approx(value / whole[week.isoformat()])
    assert [
        parameter_class(count) for count in (0, 14_999_999_999, 15_000_000_000, 69_999_999_999, 70_000_000_000)
    ] == [
        "unknown",
        "small",
        "medium",
        "medium",
        "large",
    ]
    assert [price_class(usd) for usd in (0.0, 0.39, 0.4, 1.99, 2.0)] == ["small", "small", "medium", "medium", "large"]
    priced = draw(facts, "open_by_size", Params(size_by="price"))
    assert "list price" in priced.definition


def test_reasoning_is_counted_three_ways(facts: Facts) -> None:
    """Figure 10, and what readers asked: tokens through such models, reasoning tokens themselves, calls."""
    result = draw(facts, "reasoning_share")
    found = {(cell.period, cell.groups["way"]): cell.share for cell in result.rows}
    for week in hand.WEEKS:
        rows = [row for row in ROWS if hand.week_of(row) == week]
        through = [row for row in rows if REASONS.get(model(row))]
        key = week.isoformat()
        assert found[key, "tokens through reasoning models"] == pytest.approx(
            sum(map(tokens, through)) / sum(map(tokens, rows))
        )
        assert found[key, "calls to reasoning models"] == pytest.approx(len(through) / len(rows))
        assert found[key, "spend on reasoning models"] == pytest.approx(
            sum(map(spend, through)) / sum(map(spend, rows))
        )
        thought = [row for row in rows if row.usage_reasoning_output_tokens is not None]
        assert found[key, "reasoning tokens themselves"] == pytest.approx(
            sum(row.usage_reasoning_output_tokens or 0 for row in thought) / sum(map(tokens, thought))
        )


def test_reasoning_models_are_ranked_among_themselves(facts: Facts) -> None:
    """Figure 11."""
    expected = shares(sums(ROWS, lambda row: model(row) if REASONS.get(model(row)) else None))
    assert shares_of(draw(facts, "top_reasoning_models"), "model") == pytest.approx(expected)


def ended(row: Row) -> str | None:
    """Rows that failed are of class `error`: they say how they ended, and called no tool."""
    return "tool_calls" if row.finish_reason == "tool_calls" else "none"


def test_tool_calls_and_the_account_that_bends_them(facts: Facts) -> None:
    """Figure 12: what ended in a tool call; who holds most of it, and the share without them, are worked out too."""
    result = draw(facts, "tool_call_share")
    assert shares_of(result, "tools") == pytest.approx(shares(sums(ROWS, ended)))
    told = "\n".join(result.notes)
    week = hand.WEEKS[0]
    rows = [row for row in ROWS if hand.week_of(row) == week]
    others = [row for row in rows if row.tenant_id != "acme"]
    without = sum(tokens(r) for r in others if ended(r) == "tool_calls") / sum(map(tokens, others))
    held = sum(tokens(r) for r in rows if ended(r) == "tool_calls" and r.tenant_id == "acme") / sum(
        tokens(r) for r in rows if ended(r) == "tool_calls"
    )
    assert f"Account acme holds {100 * held:.1f} % of the tool calls' tokens in the week of {week}" in told
    assert f"without it that week's share is {100 * without:.1f} %" in told
    left = draw(facts, "tool_call_share", Params(without_accounts=("acme",)))
    assert shares_of(left, "tools")[week.isoformat(), "tool_calls"] == pytest.approx(without)


def test_models_are_ranked_by_what_ends_in_tool_calls(facts: Facts) -> None:
    """Figure 13: their sum is the whole, and months are as good as weeks."""
    called = [row for row in ROWS if row.finish_reason == "tool_calls"]
    assert shares_of(draw(facts, "top_tool_models"), "model") == pytest.approx(shares(sums(called, model)))
    month = draw(facts, "top_tool_models", Params(grain="month"))
    assert {cell.period for cell in month.rows} == {"2026-03-01"}


def test_tokens_a_call_by_sums(facts: Facts) -> None:
    """Figures 14, 15 and 17: over calls of known usage only; a failed call has none."""
    result = draw(facts, "tokens_per_call")
    found = {(cell.period, cell.groups["length_of"]): cell.value for cell in result.rows}
    for week in hand.WEEKS:
        rows = [r for r in ROWS if hand.week_of(r) == week and r.usage_input_tokens is not None]
        assert found[week.isoformat(), "total"] == round(sum(map(tokens, rows)) / len(rows), 2)
        assert found[week.isoformat(), "input"] == round(sum(r.usage_input_tokens or 0 for r in rows) / len(rows), 2)
        assert found[week.isoformat(), "reasoning"] == round(
            sum(r.usage_reasoning_output_tokens or 0 for r in rows) / len(rows), 2
        )
    failed = sum(row.usage_input_tokens is None for row in ROWS)
    assert (result.n, result.missing_share) == (len(ROWS) - failed, pytest.approx(failed / len(ROWS)))


def test_free_paid_and_own_key(facts: Facts) -> None:
    """Free is the variant, and what was charged nothing: the cloaked model is given away under its plain name."""

    def payment(row: Row) -> str | None:
        if row.is_byok:
            return "byok"
        if row.model_variant == "free" or (row.cost_nano_usd == 0 and tokens(row)):
            return "free"
        return "unknown" if row.cost_nano_usd is None else "paid"

    expected = shares(sums(ROWS, payment))
    assert shares_of(draw(facts, "free_or_paid"), "payment") == pytest.approx(expected)


def test_a_launch_is_a_model_that_was_not_there_before(facts: Facts) -> None:
    """The one that begins in the second week, by weeks since; what its author's others did stands beside it."""
    result = draw(facts, "launch_study")
    assert {cell.groups["model"] for cell in result.rows} == {"anthropic/claude-sonnet-4"}
    expected = shares(sums(ROWS, model))
    for cell in result.rows:
        week = hand.WEEKS[1] + dt.timedelta(weeks=int(cell.groups["since_launch"]))
        assert cell.period == week.isoformat()
        assert cell.share == pytest.approx(expected[cell.period, "anthropic/claude-sonnet-4"])
    assert any("anthropic/claude-sonnet-4, first week 2026-03-09" in note for note in result.notes)


def test_a_fingerprint_is_made_of_ratios(facts: Facts) -> None:
    result = draw(facts, "workload_fingerprint")
    found = {(c.groups["model"], c.groups["statistic"]): c.value for c in result.rows}
    rows = [r for r in ROWS if model(r) == "deepseek/deepseek-r1" and r.usage_input_tokens is not None]
    tokens_in, tokens_out = (sum(getattr(r, f"usage_{side}_tokens") for r in rows) for side in ("input", "output"))
    assert found["deepseek/deepseek-r1", "input per output"] == round(tokens_in / tokens_out, 4)
    assert found["deepseek/deepseek-r1", "tokens a call"] == round((tokens_in + tokens_out) / len(rows), 2)
    assert found["deepseek/deepseek-r1", "reasoning of output"] == round(200 * len(rows) / tokens_out, 4)
    tools = sum(r.finish_reason == "tool_calls" for r in rows)
    assert found["deepseek/deepseek-r1", "tool calls a call"] == round(tools / len(rows), 4)
    assert found["deepseek/deepseek-r1", "cached of input"] is None, "not counted is not zero"
