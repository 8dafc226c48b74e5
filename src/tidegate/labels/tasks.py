"""What a prompt asks for: paths of Google's taxonomy with a confidence, by a linear model that can be read.

The model is one table of int8 weights (`data/labels/tasks.npz`), made by `labels/train.py` from prompts that we wrote.
It reads the user's turns and nothing else; a system prompt says what an application is, not what is asked of it.
"""

import io
from functools import cache
from importlib import resources

import msgspec
import numpy as np
import numpy.typing as npt

from tidegate.catalog.task_paths import task_paths
from tidegate.core.row import TaskTag
from tidegate.labels import features

PPM = 1_000_000
KEEP_FROM = 0.1  # weaker tags are not recorded; figures drop those below their own threshold (the study's: 0.5)
TAGS_MAX = 3


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a weights file says of itself.

    made_from: digest of the labelled prompts. temperature: what scores are divided by, so that a confidence is a
    frequency on prompts held out from training.
    """

    features_version: int
    taxonomy_version: int
    paths: tuple[str, ...]
    temperature: float
    seed: int
    rows: int
    made_from: str


class WeightsError(ValueError):
    """A weights file that this version cannot use."""


class TaskModel:
    """Inference: NumPy only, about a millisecond for a short prompt.

    kept: (rows,) sorted buckets that have weights; weights: (rows, paths) int8; scale, bias: (paths,) float32;
    idf: (BUCKETS,) float32.
    """

    def __init__(
        self,
        card: Card,
        kept: npt.NDArray[np.int64],
        weights: npt.NDArray[np.int8],
        line: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
        idf: npt.NDArray[np.float32],
    ) -> None:
        self.card, self.paths = card, card.paths
        self._kept, self._weights, self._idf = kept, weights, idf
        self._scale, self._bias = line
        self._category = [task_paths().category_of(path) for path in card.paths]
        names = sorted(set(self._category))
        self.categories = tuple(names)
        self._member = np.array([[name == own for name in names] for own in self._category], np.float32)

    @classmethod
    def decode(cls, content: bytes) -> "TaskModel":
        """Read a weights file. Raises WeightsError where it is of another version."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            card = msgspec.json.decode(arrays["card"].tobytes(), type=Card)
            if card.features_version != features.VERSION:
                raise WeightsError(
                    f"the task weights are for features version {card.features_version}, this is version "
                    f"{features.VERSION}; make them anew: make labels"
                )
            idf = arrays["idf"].astype(np.float32) * arrays["idf_unit"]
            kept = arrays["buckets"].astype(np.int64)
            return cls(card, kept, arrays["weights"], (arrays["scale"], arrays["bias"]), idf)

    def path_chances(self, text: str) -> npt.NDArray[np.float64]:
        """(paths,) float64 that add up to 1, in the order of `paths`. All zero where nothing of the text is known."""
        buckets, values = features.vector(text, self._idf)
        rows = np.minimum(np.searchsorted(self._kept, buckets), self._kept.size - 1)
        there = self._kept[rows] == buckets
        if not there.any():
            return np.zeros(len(self.paths))
        scores = (values[there] @ self._weights[rows[there]].astype(np.float32)) * self._scale + self._bias
        raised = np.exp((scores - scores.max()).astype(np.float64) / self.card.temperature)
        return np.asarray(raised / raised.sum(), np.float64)

    def category_chances(self, text: str) -> dict[str, float]:
        """Ranking category, or `other`, to its probability. All zero where nothing of the text is known."""
        chances = self.path_chances(text) @ self._member
        return dict(zip(self.categories, chances.tolist(), strict=True))

    def category(self, text: str) -> str | None:
        """The likeliest ranking category, or `other`; None where nothing of the text is known."""
        chances = self.category_chances(text)
        best = max(chances, key=lambda name: chances[name])
        return best if chances[best] > 0 else None

    def tags(self, text: str) -> list[TaskTag]:
        """The likeliest path of each likely category, best first, at most TAGS_MAX.

        The confidence is the category's: that the task is of this kind, not that it is of this very leaf.
        """
        chances = self.path_chances(text)
        masses = chances @ self._member
        found = []
        for place in np.argsort(-masses, kind="stable")[:TAGS_MAX]:
            if masses[place] < KEEP_FROM:
                break
            leaf = int(np.argmax(chances * self._member[:, place]))
            found.append(TaskTag(path=self.paths[leaf], confidence_ppm=min(round(PPM * float(masses[place])), PPM)))
        return found


def encode(
    card: Card, weights: npt.NDArray[np.float64], bias: npt.NDArray[np.float64], idf: npt.NDArray[np.float32]
) -> bytes:
    """A weights file. weights: (BUCKETS, paths); rows of zeros are left out, the rest become int8, a scale a path."""
    scale = (np.maximum(np.abs(weights).max(axis=0), 1e-12) / 127).astype(np.float32)
    small = np.rint(weights / scale).astype(np.int8)
    kept = np.flatnonzero(small.any(axis=1))
    unit = np.float32(idf.max() / 255)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        card=np.frombuffer(msgspec.json.encode(card), np.uint8),
        buckets=kept.astype(np.uint32),
        weights=small[kept],
        scale=scale,
        bias=bias.astype(np.float32),
        idf=np.rint(idf / unit).astype(np.uint8),
        idf_unit=unit,
    )
    return content.getvalue()


@cache
def shipped_model() -> TaskModel:
    """The model that comes with the product, read once."""
    return TaskModel.decode(resources.files("tidegate.data").joinpath("labels/tasks.npz").read_bytes())


def task_tags(text: str) -> list[TaskTag]:
    """The tags of one call: `text` is what the user wrote, turns joined by newlines, no system prompt."""
    return shipped_model().tags(text)
