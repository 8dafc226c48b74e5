"""The classifier on other people's prompts, which it never learned from; skipped where they are not on the machine.

The floors lie below what was measured (docs/explanation/task-labels.md): they catch a break, they tune nothing.
"""

import csv
from pathlib import Path

import pytest

from tidegate.catalog.task_paths import task_paths
from tidegate.labels.labelled import held_out_prompts, training_prompts, vocabulary
from tidegate.labels.measure import Scores, score
from tidegate.labels.tasks import shipped_model

PROMPTS = Path("/work/shared/data/prompts/task_category_prompts.csv")
pytestmark = pytest.mark.skipif(not PROMPTS.is_file(), reason=f"{PROMPTS} is not on this machine")
COPIED_CHARS = 60  # a run of characters that no two people write alike by chance


def rows() -> list[dict[str, str]]:
    with PROMPTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def measured() -> Scores:
    """Rows whose category carries the name of a ranking category."""
    named = [row for row in rows() if row["category"] in task_paths().categories]
    said = [shipped_model().category(row["text"]) for row in named]
    return score([row["category"] for row in named], said, task_paths().categories)


def test_categories_with_enough_rows_stay_above_their_floors() -> None:
    found = {one.name: one.f1 for one in measured().classes}
    assert found["programming"] >= 0.85
    assert found["roleplay"] >= 0.7


def test_categories_without_test_rows_are_named() -> None:
    assert set(measured().without_rows) == {"marketing", "seo", "technology", "trivia", "academia"}


def test_none_of_our_prompts_is_copied_from_them() -> None:
    theirs = [" ".join(row["text"].lower().split()) for row in rows()]
    runs = {text[i : i + COPIED_CHARS] for text in theirs for i in range(len(text) - COPIED_CHARS + 1)}
    for prompt in [*training_prompts(), *vocabulary(), *held_out_prompts()]:
        text = " ".join(prompt.text.lower().split())
        own = {text[i : i + COPIED_CHARS] for i in range(len(text) - COPIED_CHARS + 1)}
        same = sorted(own & runs)
        assert not same, f"{prompt.text!r} repeats {same[0]!r}"
