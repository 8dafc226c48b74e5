"""Cost, elasticity, price cuts and Jevons' check on a made-up series with dated prices, against independent sums."""

import datetime as dt
import math
import random
import statistics
from pathlib import Path

import numpy as np
import pytest

from tidegate.catalog import load_catalog
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger
from tidegate.study.facts import Facts, open_facts
from tidegate.study.jevons import jevons
from tidegate.study.market_map import market_map
from tidegate.study.model_cost import model_cost
from tidegate.study.params import Params
from tidegate.study.periods import Window
from tidegate.study.price_cuts import price_cuts
from tidegate.study.price_elasticity import price_elasticity
from tidegate.study.result import NotComputable, Result
from tidegate.study.segments import segments

MONDAY = dt.date(2026, 1, 5)
WEEKS = 10
MODELS = [f"{maker}/{maker}-{number}" for maker in ("openai", "qwen", "acme") for number in range(5)]
CUT_WEEK = {"openai/openai-0": 4, "qwen/qwen-0": 5, "acme/acme-0": 6, "acme/acme-1": 3}
CUT_TO = {"openai/openai-0": 0.5, "qwen/qwen-0": 0.8, "acme/acme-0": 0.25, "acme/acme-1": 1.5}  # the last one rises
Tokens = dict[tuple[str, int], tuple[int, int]]
"""(model, week) -> prompt and completion tokens of each of its days, in thousands."""


def drawn() -> tuple[Tokens, dict[str, tuple[float, float]]]:
    """Tokens and first prices (USD per million in and out)."""
    draw = random.Random(5)
    prices = {model: (price := math.exp(draw.gauss(0, 1.5)), 4 * price) for model in MODELS}
    prices = {model: (round(rate, 4), round(left, 4)) for model, (rate, left) in prices.items()}
    tokens: Tokens = {}
    for model in MODELS:
        level = math.exp(draw.gauss(12, 1.5))
        for week in range(WEEKS):
            size = level * math.exp(0.05 * week + draw.gauss(0, 0.2))
            if model in CUT_WEEK and week >= CUT_WEEK[model]:
                size *= CUT_TO[model] ** -0.7
            tokens[model, week] = (int(size), int(size * draw.uniform(0.1, 0.4)))
    return tokens, prices


TOKENS, PRICES = drawn()


def price_at(model: str, week: int, share: float) -> float:
    factor = CUT_TO[model] if model in CUT_WEEK and week >= CUT_WEEK[model] else 1.0
    entered, left = (round(rate * factor, 6) for rate in PRICES[model])
    return entered * share + left * (1 - share)


def share_of(model: str) -> float:
    """Prompt's part of all the model's tokens."""
    entered = sum(TOKENS[model, week][0] for week in range(WEEKS))
    return entered / sum(sum(TOKENS[model, week]) for week in range(WEEKS))


def total_of(model: str, weeks: range = range(WEEKS)) -> int:
    """Tokens over whole weeks."""
    return 7 * 1000 * sum(sum(TOKENS[model, week]) for week in weeks)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    folder = tmp_path_factory.mktemp("prices")
    lines = ["Date,Model,Prompt,Completion,Reasoning,Total_Tokens"]
    for day in range(WEEKS * 7):
        for model in MODELS:
            entered, left = TOKENS[model, day // 7]
            shown = f"{entered / 1e6:.6f},{left / 1e6:.6f},0,{(entered + left) / 1e6:.6f}"
            lines.append(f"{MONDAY + dt.timedelta(days=day)},{model},{shown}")
        lines.append(f"{MONDAY + dt.timedelta(days=day)},acme/acme-2:free,0.5,0.5,0,1.0")
        lines.append(f"{MONDAY + dt.timedelta(days=day)},acme/unpriced,0.25,0.25,0,0.5")
    (folder / "series.csv").write_text("\n".join(lines), "utf-8")
    priced = ["model,valid_from,input_usd_per_mtok,output_usd_per_mtok"]
    for model, (entered, left) in PRICES.items():
        priced.append(f"{model},2025-12-01,{entered},{left}")
        if model in CUT_WEEK:
            since, factor = MONDAY + dt.timedelta(weeks=CUT_WEEK[model]), CUT_TO[model]
            priced.append(f"{model},{since},{round(entered * factor, 6)},{round(left * factor, 6)}")
    (folder / "prices.csv").write_text("\n".join(priced), "utf-8")
    ledger = Ledger.create(folder / "ledger")
    run_import("openrouter-daily", [folder / "series.csv"], ledger)
    return open_facts(ledger, load_catalog(), prices_file=folder / "prices.csv")


def cells(result: Result, *names: str) -> dict[tuple[str, ...], float | None]:
    return {
        tuple(cell.groups[name] for name in names): cell.value
        for cell in result.rows
        if all(name in cell.groups for name in names)
    }


def cost_of(model: str) -> float:
    """USD per million over the window: each week's own mix at that week's list price."""
    spent = 0.0
    for week in range(WEEKS):
        entered, left = TOKENS[model, week]
        spent += price_at(model, week, entered / (entered + left)) * (entered + left)
    return spent / sum(sum(TOKENS[model, week]) for week in range(WEEKS))


def test_each_model_stands_at_its_cost_and_tokens(facts: Facts) -> None:
    """A free variant costs nothing and an unknown price is not guessed: both are counted and left out."""
    result = model_cost(facts, facts.sources[0], Params())

    found = cells(result, "model", "axis")
    assert {model for model, _ in found} == set(MODELS)
    for model in MODELS:
        assert found[model, "cost"] == pytest.approx(cost_of(model), rel=1e-9)
        assert found[model, "usage"] == total_of(model)
    medians = cells(result, "statistic", "axis")
    assert medians["median", "cost"] == pytest.approx(statistics.median(map(cost_of, MODELS)), rel=1e-9)
    assert medians["median", "usage"] == pytest.approx(statistics.median(map(total_of, MODELS)), rel=1e-9)
    everything = sum(map(total_of, MODELS)) + 70 * 10**9 + 70 * 5 * 10**8
    assert result.missing_share == pytest.approx(70 * 5 * 10**8 / everything)
    assert any("1 cost nothing" in note and "1 have no known cost" in note for note in result.notes)


def test_segments_are_the_quadrants_at_the_medians(facts: Facts) -> None:
    """Above the median cost is dear; at the median use or above is much used."""
    middle_cost = statistics.median(map(cost_of, MODELS))
    middle_use = statistics.median(map(total_of, MODELS))
    names = {
        (False, True): "efficient giants",
        (True, True): "premium leaders",
        (False, False): "long tail",
        (True, False): "premium specialists",
    }
    result = segments(facts, facts.sources[0], Params())

    found = {(cell.groups["segment"], cell.groups["model"], cell.groups["axis"]): cell for cell in result.rows}
    spent = sum(cost_of(model) * total_of(model) for model in MODELS)
    for key, name in names.items():
        inside = [m for m in MODELS if (cost_of(m) > middle_cost * (1 + 1e-9), total_of(m) >= middle_use) == key]
        assert found[name, "all", "models"].value == len(inside)
        assert found[name, "all", "usage"].value == sum(map(total_of, inside))
        part = sum(cost_of(model) * total_of(model) for model in inside) / spent
        assert found[name, "all", "cost"].share == pytest.approx(part)
        largest = sorted(inside, key=total_of, reverse=True)[:2]
        assert {model for segment, model, _ in found if segment == name} == {"all", *largest}


def test_an_author_costs_what_all_its_tokens_together_do(facts: Facts) -> None:
    """Not the mean of its models' costs."""
    found = cells(market_map(facts, facts.sources[0], Params()), "author", "model", "axis")

    theirs = [model for model in MODELS if model.startswith("qwen/")]
    tokens = sum(map(total_of, theirs))
    assert found["qwen", "all", "usage"] == tokens
    expected = sum(cost_of(model) * total_of(model) for model in theirs) / tokens
    assert found["qwen", "all", "cost"] == pytest.approx(expected)


def test_the_cross_section_is_the_slope_of_logs(facts: Facts) -> None:
    """Unweighted and weighted, by the formula for one regressor; and what it says of a tenth off the price."""
    x = [math.log(cost_of(model)) for model in MODELS]
    y = [math.log(total_of(model)) for model in MODELS]

    found = cells(price_elasticity(facts, facts.sources[0], Params()), "method", "sample", "statistic")

    for name, weights in (
        ("cross-section", [1.0] * len(MODELS)),
        ("cross-section, weighted by tokens", [float(total_of(model)) for model in MODELS]),
    ):
        mean_x = sum(w * a for w, a in zip(weights, x, strict=True)) / sum(weights)
        mean_y = sum(w * b for w, b in zip(weights, y, strict=True)) / sum(weights)
        covered = sum(w * (a - mean_x) * (b - mean_y) for w, a, b in zip(weights, x, y, strict=True))
        slope = covered / sum(w * (a - mean_x) ** 2 for w, a in zip(weights, x, strict=True))
        assert found[name, "all models", "elasticity"] == pytest.approx(slope, rel=1e-9)
        assert found[name, "all models", "use at 10 % less"] == pytest.approx(0.9**slope - 1)
        assert found[name, "all models", "n"] == len(MODELS)


def test_within_models_is_least_squares_with_dummies(facts: Facts) -> None:
    """Prices at the model's fixed mix, every model and week an effect of its own; four models' prices move."""
    y, x, dummies = [], [], []
    for place, model in enumerate(MODELS):
        for week in range(WEEKS):
            y.append(math.log(7000 * sum(TOKENS[model, week])))
            x.append(math.log(price_at(model, week, share_of(model))))
            row = np.zeros(len(MODELS) + WEEKS)
            row[place] = row[len(MODELS) + week] = 1
            dummies.append(row)
    fitted = np.linalg.lstsq(np.column_stack([x, np.array(dummies)]), np.array(y), rcond=None)[0]

    found = cells(price_elasticity(facts, facts.sources[0], Params()), "method", "sample", "statistic")

    sample = f"4 of {len(MODELS)} models with a change"
    assert found["within models", sample, "elasticity"] == pytest.approx(fitted[0], rel=1e-8)
    assert found["within models", sample, "clusters"] == len(MODELS)
    assert found["within models", sample, "n"] == len(MODELS) * WEEKS


def test_weeks_around_a_cut_are_least_squares_with_indicators(facts: Facts) -> None:
    """Three cuts (the fourth model's price rises and it is no control either); week -1 is the base."""
    cuts = {model: week for model, week in CUT_WEEK.items() if CUT_TO[model] < 1}
    used = [model for model in MODELS if model in cuts or model not in CUT_WEEK]
    lines = []
    for place, model in enumerate(used):
        for week in range(WEEKS):
            k = week - cuts[model] if model in cuts else None
            if k is None or -6 <= k <= 8:
                lines.append((math.log(sum(TOKENS[model, week])), place, week, k))
    ks = sorted({k for *_, k in lines if k is not None} - {-1})
    x = np.zeros((len(lines), len(ks) + len(used) + WEEKS))
    for row, (_, place, week, k) in enumerate(lines):
        x[row, len(ks) + place] = x[row, len(ks) + len(used) + week] = 1
        if k is not None and k != -1:
            x[row, ks.index(k)] = 1
    fitted = np.linalg.lstsq(x, np.array([line[0] for line in lines]), rcond=None)[0][: len(ks)]

    result = price_cuts(facts, facts.sources[0], Params())

    found = cells(result, "weeks_from_cut", "statistic")
    assert found["-1", "effect"] == 0
    for k, effect in zip(ks, fitted, strict=True):
        assert found[str(k), "effect"] == pytest.approx(effect, rel=1e-7, abs=1e-9)
    assert found["0", "models"] == 3
    assert result.n == len(lines)
    average = np.mean([effect for k, effect in zip(ks, fitted, strict=True) if k >= 0])
    change = np.mean([math.log(CUT_TO[model]) for model in cuts])
    elasticity = cells(price_elasticity(facts, facts.sources[0], Params()), "method", "sample", "statistic")
    assert elasticity["around price cuts", "first cuts of 5 % or more", "elasticity"] == pytest.approx(average / change)


def test_spend_after_a_cut_is_price_times_tokens_over_the_four_weeks_on_each_side(facts: Facts) -> None:
    """Beside what all other models' tokens did in the same weeks."""
    found = cells(jevons(facts, facts.sources[0], Params()), "model", "ratio")

    assert {model for model, _ in found} == {model for model in CUT_WEEK if CUT_TO[model] < 1}
    for model, week in CUT_WEEK.items():
        if CUT_TO[model] > 1:
            continue
        before, after = range(max(0, week - 4), week), range(week, min(WEEKS, week + 4))
        tokens = (total_of(model, after) / len(after)) / (total_of(model, before) / len(before))
        others = {
            side: sum(total_of(other, side) for other in MODELS if other != model) / len(side) + 7 * 1.5 * 10**9
            for side in (before, after)
        }
        market = others[after] / others[before]
        assert found[model, "price"] == pytest.approx(CUT_TO[model], rel=1e-3)
        assert found[model, "tokens"] == pytest.approx(tokens)
        assert found[model, "market"] == pytest.approx(market)
        assert found[model, "spend_beside_market"] == pytest.approx(tokens * CUT_TO[model] / market, rel=1e-3)


def test_every_number_has_its_method_and_what_identifies_it(facts: Facts) -> None:
    """Four kinds of method at least, each with an interval, n and a sentence; never one number alone."""
    result = price_elasticity(facts, facts.sources[0], Params())

    methods = {(cell.groups["method"], cell.groups["sample"]) for cell in result.rows}
    assert len(methods) == 6
    for method, sample in methods:
        assert any(method in note and ("Identified by" in note or "not estimated" in note) for note in result.notes), (
            sample
        )


def test_without_a_change_of_price_nothing_is_estimated_within_models(facts: Facts) -> None:
    """The first three weeks have no change: the methods that need one say so, the others go on."""
    window = Window(MONDAY, MONDAY + dt.timedelta(days=20))
    result = price_elasticity(facts, facts.sources[0], Params(window=window))

    told = [note for note in result.notes if note.startswith("- not estimated")]
    assert any("no model's list price is known to have changed" in note for note in told)
    assert any("no list price is known to have fallen" in note for note in told)
    with pytest.raises(NotComputable, match="no list price is known to have fallen"):
        price_cuts(facts, facts.sources[0], Params(window=window))
    with pytest.raises(NotComputable, match="no list price is known to have fallen"):
        jevons(facts, facts.sources[0], Params(window=window))


def test_a_series_of_totals_has_no_mix_to_price(tmp_path: Path) -> None:
    """Input and output are null there, not zero."""
    series = '[{"date": "2026-01-05", "model_permaslug": "openai/openai-0", "total_tokens": "1000"}]'
    (tmp_path / "series.json").write_text(series, "utf-8")
    ledger = Ledger.create(tmp_path / "ledger")
    run_import("openrouter-daily", [tmp_path / "series.json"], ledger)
    facts = open_facts(ledger, load_catalog())

    with pytest.raises(NotComputable, match="no list price is known"):
        model_cost(facts, facts.sources[0], Params())
