"""Our price estimates on made-up weeks against pyfixest, the regression written out again from the raw numbers."""

import datetime as dt
import math
import random
import warnings

import pytest

from tidegate.study.event_study import event_study
from tidegate.study.price_history import PriceHistory, Step
from tidegate.study.price_panel import Weeks, price_panel
from tidegate.study.regression import panel

MONDAY = dt.date(2026, 1, 5)
WEEKS = 14
CHANGES = {"m0": (5, 0.5), "m1": (7, 0.8), "m2": (9, 0.6), "m3": (4, 1.4), "m4": (6, 0.97)}  # week, factor
SHARE = 0.8


def made_up() -> tuple[Weeks, PriceHistory, list[dict[str, object]]]:
    """Weeks and prices in our terms; and the raw lines: model, week, tokens, price, weeks from its change."""
    draw = random.Random(17)
    tokens: dict[tuple[str, str], dict[dt.date, int]] = {}
    steps: dict[tuple[str, str], list[Step]] = {}
    raw: list[dict[str, object]] = []
    for number in range(16):
        name, level, price = f"m{number}", draw.gauss(14, 1), math.exp(draw.gauss(0, 1))
        at, factor = CHANGES.get(name, (WEEKS, 1.0))
        old, new = (round(price * part * 1e9) for part in (1.0, factor))
        turn = MONDAY + dt.timedelta(weeks=at)
        steps[name, ""] = [Step(dt.date(2025, 1, 1), turn - dt.timedelta(days=1), old, 2 * old)]
        if name in CHANGES:
            steps[name, ""].append(Step(turn, dt.date.max, new, 2 * new))
        else:
            steps[name, ""] = [Step(dt.date(2025, 1, 1), dt.date.max, old, 2 * old)]
        tokens[name, ""] = {}
        for week in range(WEEKS):
            if draw.random() < 0.15:
                continue  # no tokens that week
            rate = new if week >= at else old
            size = int(math.exp(level + 0.04 * week - 0.6 * math.log(rate / old) + draw.gauss(0, 0.25)))
            tokens[name, ""][MONDAY + dt.timedelta(weeks=week)] = size
            blended = (rate * SHARE + 2 * rate * (1 - SHARE)) / 1e9
            raw.append({"model": name, "week": week, "tokens": size, "price": blended, "k": week - at})
    weeks = Weeks(
        tokens=tokens,
        input_share=dict.fromkeys(tokens, SHARE),
        weeks=tuple(MONDAY + dt.timedelta(weeks=week) for week in range(WEEKS)),
    )
    return weeks, PriceHistory(steps, "made up"), raw


def fitted(formula: str, lines: list[dict[str, object]]) -> object:
    pyfixest = pytest.importorskip("pyfixest")
    pandas = pytest.importorskip("pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pyfixest.feols(
            f"{formula} | model + week", pandas.DataFrame(lines), vcov={"CRV1": "model"}, fixef_tol=1e-13
        )


def test_within_models_is_a_panel_of_logs() -> None:
    """Slope, error and interval of ln tokens on ln price, with effects of model and week."""
    weeks, prices, raw = made_up()
    lines = [
        {**line, "y": math.log(line["tokens"]), "x": math.log(line["price"])}  # type: ignore[arg-type]
        for line in raw
    ]
    theirs = fitted("y ~ x", lines)

    built = price_panel(weeks, prices)
    ours = panel(built.log_tokens, built.log_price[:, None], built.units, built.times).estimate(0)

    assert built.movers == len(CHANGES)
    assert ours.value == pytest.approx(theirs.coef()["x"], rel=1e-8)  # type: ignore[attr-defined]
    assert ours.se == pytest.approx(theirs.se()["x"], rel=1e-8)  # type: ignore[attr-defined]


def test_the_event_study_is_a_panel_of_indicators() -> None:
    """One a week from the cut, base -1, first cuts of 5 % or more; rises and smaller cuts are on neither side."""
    weeks, prices, raw = made_up()
    cuts = {name for name, (_, factor) in CHANGES.items() if factor <= 0.95}
    lines = []
    ks = [k for k in range(-6, 9) if k != -1]
    for line in raw:
        name, k = str(line["model"]), int(line["k"])  # type: ignore[call-overload]
        if (name in CHANGES and name not in cuts) or (name in cuts and not -6 <= k <= 8):
            continue
        hot = {f"k{place}": float(name in cuts and k == value) for place, value in enumerate(ks)}
        lines.append({**line, "y": math.log(line["tokens"]), **hot})  # type: ignore[arg-type]
    used = [place for place in range(len(ks)) if any(line[f"k{place}"] for line in lines)]
    theirs = fitted("y ~ " + " + ".join(f"k{place}" for place in used), lines)

    ours = event_study(weeks, prices)

    assert {cut.name for cut in ours.cuts} == cuts
    assert sorted(ours.effects) == [ks[place] for place in used]
    for place in used:
        effect = ours.effects[ks[place]]
        assert effect.value == pytest.approx(theirs.coef()[f"k{place}"], rel=1e-8)  # type: ignore[attr-defined]
        assert effect.se == pytest.approx(theirs.se()[f"k{place}"], rel=1e-8)  # type: ignore[attr-defined]
