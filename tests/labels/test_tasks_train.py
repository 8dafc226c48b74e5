"""The weights can be made again: same prompts, same file; and the shipped ones were made from the shipped prompts."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tidegate.labels import train
from tidegate.labels.labelled import (
    LabelledPrompt,
    digest,
    held_out_prompts,
    read_prompts,
    training_prompts,
    vocabulary,
)
from tidegate.labels.tasks import TaskModel, shipped_model

ROOT = Path(__file__).parent.parent.parent


def some(category: str, count: int) -> list[LabelledPrompt]:
    return [prompt for prompt in training_prompts() if prompt.category == category][:count]


def test_training_twice_gives_the_same_file() -> None:
    prompts = [*some("programming", 60), *some("health", 60), *some("other", 60)]
    assert train.train(prompts, [], kept=2000) == train.train(prompts, [], kept=2000)


def test_a_small_model_tells_its_own_prompts_apart() -> None:
    prompts = [*some("programming", 80), *some("health", 80)]
    model = TaskModel.decode(train.train(prompts, [], kept=4000))
    right = sum(model.category(prompt.text) == prompt.category for prompt in prompts)
    assert right / len(prompts) > 0.95


def test_the_fit_is_at_the_minimum_of_its_loss() -> None:
    """Two rows, one feature, two classes: by symmetry the weights are opposite, the bias zero, the gradient zero."""
    rows = train.scipy.sparse.csr_matrix(np.array([[1.0], [-1.0]]))
    weights, bias = train.fit(rows, np.array([0, 1]), np.array([0.5, 0.5]), 2, 0.1)
    w = weights[0, 0]
    assert weights[0, 1] == pytest.approx(-w, abs=1e-4) and bias == pytest.approx([0, 0], abs=1e-4)
    chance = 1 / (1 + np.exp(-2 * w))
    assert chance - 1 + 0.1 * w == pytest.approx(0, abs=1e-3)


def test_every_category_weighs_the_same_in_the_loss() -> None:
    """Programming has three times the prompts of marketing; that is how we wrote, not how people ask."""
    prompts = [*some("programming", 300), *some("marketing", 100)]
    weights = train.row_weights(prompts)
    assert weights.sum() == pytest.approx(1)
    assert weights[:300].sum() == pytest.approx(0.5)


def test_the_shipped_weights_were_made_from_the_shipped_prompts() -> None:
    """Prompts changed without `make labels` would leave weights that nobody can explain."""
    learned = [*training_prompts(), *vocabulary()]
    assert (shipped_model().card.rows, shipped_model().card.made_from) == (len(learned), digest(learned))


def test_the_shipped_prompts_are_what_the_parts_compose(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "compose_prompts.py", "--out", tmp_path], check=True, capture_output=True
    )
    assert b"prompts:" in done.stdout
    made = {file.relative_to(tmp_path): file.read_bytes() for file in tmp_path.rglob("*.jsonl")}
    shipped = ROOT / "src" / "tidegate" / "data" / "labels"
    assert made == {file.relative_to(shipped): file.read_bytes() for file in shipped.rglob("*.jsonl")}


def test_three_in_five_held_out_prompts_are_told() -> None:
    """A floor, so that no change of features makes the model quietly worse; chance is one in thirteen."""
    held = held_out_prompts()
    right = sum(shipped_model().category(prompt.text) == prompt.category for prompt in held)
    assert right / len(held) >= 0.6


def test_a_label_that_disagrees_with_its_path_is_refused_by_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text('{"category":"seo","google_path":"/Health","language":"en","origin":"written","text":"x"}\n')
    with pytest.raises(ValueError, match=r"wrong\.jsonl, line 1.*/Health means health, not seo"):
        read_prompts([file])
