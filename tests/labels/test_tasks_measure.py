"""Scores of labels, against arithmetic done by hand."""

import numpy as np
import pytest

from tidegate.labels.measure import best_temperature, calibration, confusion, score

TRUTH = ["a", "a", "a", "b", "b", "c"]
SAID = ["a", "a", "b", "b", None, "a"]


def test_f1_of_each_class_by_hand() -> None:
    """a: 2 right of 3 said and 3 true, so 4/6; b: 1 of 2 and 2, so 2/4; c: none."""
    found = score(TRUTH, SAID, ["a", "b", "c", "d"])
    assert {one.name: one.f1 for one in found.classes} == pytest.approx({"a": 4 / 6, "b": 2 / 4, "c": 0.0})
    assert found.macro_f1 == pytest.approx((4 / 6 + 1 / 2 + 0) / 3)
    assert found.accuracy == pytest.approx(3 / 6)


def test_a_class_without_rows_is_named_and_in_no_mean() -> None:
    assert score(TRUTH, SAID, ["a", "b", "c", "d"]).without_rows == ("d",)


def test_a_class_never_said_has_no_precision() -> None:
    """Null, not zero: nothing was said that could have been right."""
    found = {one.name: one.precision for one in score(TRUTH, SAID, ["a", "b", "c"]).classes}
    assert found["c"] is None


def test_the_interval_holds_the_estimate_and_narrows_with_rows() -> None:
    few = score(TRUTH, SAID, ["a", "b", "c"])
    many = score(TRUTH * 50, SAID * 50, ["a", "b", "c"])
    assert few.low <= few.macro_f1 <= few.high
    assert many.high - many.low < few.high - few.low


def test_the_same_seed_gives_the_same_interval() -> None:
    assert score(TRUTH, SAID, ["a", "b", "c"], seed=7) == score(TRUTH, SAID, ["a", "b", "c"], seed=7)


def test_confusion_counts_rows_without_a_label() -> None:
    assert confusion(TRUTH, SAID) == {("a", "a"): 2, ("a", "b"): 1, ("b", "b"): 1, ("b", "none"): 1, ("c", "a"): 1}


def test_calibration_error_by_hand() -> None:
    """Two rows at 0.9, one right: off by 0.4; two at 0.1, none right: off by 0.1; half the rows each."""
    bins, error = calibration([0.9, 0.9, 0.1, 0.1], [True, False, False, False])
    assert error == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)
    assert (bins[9].rows, bins[9].share_right, bins[5].share_right) == (2, 0.5, None)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="no labelled rows"):
        score([], [], ["a"])


def test_temperature_undoes_a_known_stretch() -> None:
    """Scores that were multiplied by 2 must be divided by about 2."""
    draw = np.random.default_rng(5)
    scores = draw.normal(size=(4000, 2))
    chances = 1 / (1 + np.exp(scores[:, 1] - scores[:, 0]))
    truth = (draw.random(4000) > chances).astype(int)

    def loss(divided: np.ndarray) -> float:
        logs = divided - np.log(np.exp(divided).sum(axis=1, keepdims=True))
        return -float(logs[np.arange(4000), truth].mean())

    assert best_temperature(scores * 2, loss) == pytest.approx(2, rel=0.15)
