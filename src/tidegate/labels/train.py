"""Make the task weights from our labelled prompts: multinomial logistic regression, seeded, the same file every time.

    python -m tidegate.labels.train [--labels FOLDER] [--out FILE]

Every ranking category weighs the same in the loss, however many prompts it has. After a
first, coarse fit only the buckets that matter are kept and fitted again. Confidences are fitted (one temperature) on
`held_out.jsonl`, which nothing was trained on; no other text is read.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse
import scipy.special

from tidegate.catalog.task_paths import task_paths
from tidegate.labels import features
from tidegate.labels.labelled import (
    LabelledPrompt,
    digest,
    held_out_prompts,
    labels_folder,
    training_prompts,
    vocabulary,
)
from tidegate.labels.measure import best_temperature
from tidegate.labels.tasks import Card, TaskModel, encode

SEED = 20261122
RIDGE = 4e-6  # penalty on squared weights; chosen on held_out.jsonl
SEEN_MIN = 2  # a bucket that one prompt alone has teaches nothing about another
BUCKETS_KEPT = 30_000  # of 262,144: keeps the file under a megabyte
STEPS_MAX = 100
OTHER_WEIGHT = 2.0  # it holds many unlike topics; chosen on held_out.jsonl


def train(
    prompts: Sequence[LabelledPrompt],
    held_out: Sequence[LabelledPrompt],
    *,
    kept: int = BUCKETS_KEPT,
    ridge: float = RIDGE,
) -> bytes:
    """A weights file. The same prompts give the same bytes on one machine; across machines weights may differ by 1."""
    paths = tuple(sorted({prompt.google_path for prompt in prompts}))
    truth = np.array([paths.index(prompt.google_path) for prompt in prompts])
    texts = [prompt.text for prompt in prompts]
    idf = inverse_frequency(texts)
    rows = matrix(texts, idf)
    weights = row_weights(prompts)
    known = np.flatnonzero(idf)
    categories = sorted({prompt.category for prompt in prompts})
    coarse = np.array([categories.index(prompt.category) for prompt in prompts])
    first, _ = fit(rows[:, known], coarse, weights, len(categories), ridge)
    strongest = np.sort(known[np.argsort(-np.abs(first).max(axis=1), kind="stable")[:kept]])
    fitted, bias = fit(rows[:, strongest], truth, weights, len(paths), ridge)
    full = np.zeros((features.BUCKETS, len(paths)))
    full[strongest] = fitted
    card = Card(
        features_version=features.VERSION,
        taxonomy_version=task_paths().version,
        paths=paths,
        temperature=_temperature(full, bias, idf, paths, held_out),
        seed=SEED,
        rows=len(prompts),
        made_from=digest(prompts),
    )
    return encode(card, full, bias, idf)


def inverse_frequency(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """(BUCKETS,) float32: the square root of 1 + ln((1 + n) / (1 + rows with the bucket)).

    Zero for a bucket that fewer than SEEN_MIN rows have: what was never learned must not shrink what was.
    """
    flat = np.ones(features.BUCKETS, np.float32)
    seen = np.zeros(features.BUCKETS)
    for text in texts:
        seen[features.vector(text, flat)[0]] += 1
    rarity = np.sqrt(1 + np.log((1 + len(texts)) / (1 + seen)))
    return np.where(seen >= SEEN_MIN, rarity, 0).astype(np.float32)


def matrix(texts: Sequence[str], idf: npt.NDArray[np.float32]) -> Any:
    """(texts, BUCKETS) sparse float64."""
    vectors = [features.vector(text, idf) for text in texts]
    ends = np.cumsum([0, *(buckets.size for buckets, _ in vectors)])
    columns = np.concatenate([buckets for buckets, _ in vectors])
    values = np.concatenate([values for _, values in vectors]).astype(np.float64)
    return scipy.sparse.csr_matrix((values, columns, ends), shape=(len(texts), features.BUCKETS))


def row_weights(prompts: Sequence[LabelledPrompt]) -> npt.NDArray[np.float64]:
    """Weights that add up to 1: categories alike (`other` apart), paths by the root of their prompts inside one."""
    rows_of: dict[str, int] = {}
    for prompt in prompts:
        rows_of[prompt.google_path] = rows_of.get(prompt.google_path, 0) + 1
    mapping = task_paths()
    of_category: dict[str, float] = {}
    for path, rows in rows_of.items():  # the square root: a path with few prompts must not be shouted
        of_category[mapping.category_of(path)] = of_category.get(mapping.category_of(path), 0.0) + rows**0.5
    raw = np.array([rows_of[p.google_path] ** -0.5 / of_category[p.category] for p in prompts])
    raw *= [OTHER_WEIGHT if p.category == "other" else 1.0 for p in prompts]
    return np.asarray(raw / raw.sum(), np.float64)


def fit(
    rows: Any, truth: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], classes: int, ridge: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weighted multinomial logistic regression with a ridge, by L-BFGS from zero: (features, classes), (classes,)."""
    size = rows.shape[1]
    turned = rows.T.tocsr()
    target = np.zeros((rows.shape[0], classes))
    target[np.arange(truth.size), truth] = 1.0

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        table, bias = flat[: size * classes].reshape(size, classes), flat[size * classes :]
        logs = scipy.special.log_softmax(rows @ table + bias, axis=1)
        value = -float(weights @ logs[np.arange(truth.size), truth]) + ridge / 2 * float(np.sum(table * table))
        wrong = (np.exp(logs) - target) * weights[:, None]
        return value, np.concatenate([(turned @ wrong + ridge * table).ravel(), wrong.sum(axis=0)])

    start = np.zeros(size * classes + classes)
    found = scipy.optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS_MAX, "maxcor": 8, "ftol": 1e-7}
    )
    return found.x[: size * classes].reshape(size, classes), found.x[size * classes :]


def _temperature(
    weights: npt.NDArray[np.float64],
    bias: npt.NDArray[np.float64],
    idf: npt.NDArray[np.float32],
    paths: tuple[str, ...],
    held_out: Sequence[LabelledPrompt],
) -> float:
    """What to divide scores by so that the category's probability fits prompts held out (least log loss)."""
    if not held_out:
        return 1.0
    category = np.array([task_paths().category_of(path) for path in paths])
    member = np.array([category == prompt.category for prompt in held_out])
    scores = matrix([prompt.text for prompt in held_out], idf) @ weights + bias

    def loss(divided: npt.NDArray[np.float64]) -> float:
        chances = (scipy.special.softmax(divided, axis=1) * member).sum(axis=1)
        return -float(np.log(np.maximum(chances, 1e-12)).mean())

    return best_temperature(scores, loss)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the task weights from the labelled prompts.")
    parser.add_argument("--labels", type=Path, default=labels_folder(), help="folder of prompts/ and held_out.jsonl")
    parser.add_argument("--out", type=Path, help="the weights file; by default FOLDER/tasks.npz")
    options = parser.parse_args()
    learned = [*training_prompts(options.labels), *vocabulary(options.labels)]
    content = train(learned, held_out_prompts(options.labels))
    out = options.out or options.labels / "tasks.npz"
    out.write_bytes(content)
    model = TaskModel.decode(content)
    held = held_out_prompts(options.labels)
    right = sum(model.category(prompt.text) == prompt.category for prompt in held)
    print(
        f"{out}: {len(content):,} bytes, {len(model.paths)} paths, {model.card.rows:,} prompts; "
        f"{right} of {len(held)} held-out prompts right, temperature {model.card.temperature:g}"
    )


if __name__ == "__main__":
    main()
