"""Holds labels against labels that somebody trusts, and draws what a person should judge.

A labelled file is CSV with a header, or JSON lines, with `text` and any of `language` (BCP 47; `zh` is right for either
script), `category` (a ranking category or `other`) and `google_path`. Rows of other categories are counted, not scored.
"""

import csv
import io
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tidegate.catalog.task_paths import OTHER, task_paths
from tidegate.core.errors import TidegateError
from tidegate.labels.labeller import Labelling
from tidegate.labels.measure import Bin, Scores, calibration, confusion, score

PPM: Final = 1_000_000
NONE: Final = "none"  # in the place of a label where there is none
JUDGED_COLUMNS: Final = (
    "place", "drawn", "text", "language", "category", "path", "confidence", "language_right", "task_right",
)  # fmt: skip


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a labelled file. None: the file does not say. `place`: file and line, for people."""

    place: str
    text: str
    language: str | None = None
    category: str | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A row and what the labeller says of it. `confidence`: of the strongest tag, 0 to 1; 0 where there is none."""

    row: Trusted
    language: str | None
    category: str | None
    path: str | None
    confidence: float


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What a labeller is worth on these rows. None: no row says the truth of it.

    `*_confusion`: (true, said, rows), most frequent mistake first, right ones left out. `calibration`: of the strongest
    task tag. `left_out`: categories of the file that are none of the twelve, and how many rows they have.
    """

    labeller: str
    rows: int
    languages: Scores | None
    language_confusion: tuple[tuple[str, str, int], ...]
    tasks: Scores | None
    task_confusion: tuple[tuple[str, str, int], ...]
    calibration: tuple[Bin, ...]
    calibration_error: float | None
    left_out: dict[str, int]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a person found right among `judged` rows drawn at random, with a 95 % Wilson interval."""

    of: str
    judged: int
    right: int
    share: float
    low: float
    high: float


def read_trusted(files: Sequence[Path]) -> list[Trusted]:
    """The rows of labelled files. Raises TidegateError naming file and line that cannot be read."""
    found = [row for file in files for row in _read_file(file)]
    if not found:
        raise TidegateError(f"{', '.join(map(str, files))}: no rows; a labelled file has a `text` and a label a row")
    return found


def _read_file(file: Path) -> Iterator[Trusted]:
    try:
        content = file.read_text("utf-8-sig")
    except OSError as error:
        raise TidegateError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TidegateError(f"{file} is not UTF-8 text ({error}); save it as UTF-8") from error
    for number, cells in _lines(file, content):
        place = f"{file.name}:{number}"
        text = cells.get("text") or cells.get("prompt")
        if not isinstance(text, str):
            raise TidegateError(f"{place}: no `text`; it has {', '.join(map(str, cells)) or 'nothing'}")
        yield Trusted(
            place=place, text=text, language=str(cells.get("language") or "") or None, category=_category(cells)
        )


def _category(cells: Mapping[str, Any]) -> str | None:
    if named := cells.get("category"):
        return str(named)
    path = cells.get("google_path")
    return task_paths().category_of(str(path)) if path else None


def _lines(file: Path, content: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if content.lstrip()[:1] == "{":
        for number, line in enumerate(content.split("\n"), 1):
            if line.strip():
                try:
                    yield number, msgspec.json.decode(line, type=dict[str, Any])
                except msgspec.MsgspecError as error:
                    raise TidegateError(f"{file.name}:{number}: no JSON object ({error})") from error
        return
    reader = csv.DictReader(io.StringIO(content, newline=""))
    try:
        for cells in reader:
            yield reader.line_num, {name: value for name, value in cells.items() if name}
    except csv.Error as error:
        raise TidegateError(f"{file.name}:{reader.line_num}: not CSV ({error})") from error


def say(
    rows: Sequence[Trusted], label: Callable[[str], Labelling], progress: Callable[[int, int], None] | None = None
) -> list[Said]:
    """What a labeller says of each row. progress: called with rows done and rows to do."""
    found = []
    for done, row in enumerate(rows, 1):
        labelling = label(row.text)
        top = labelling.tags[0] if labelling.tags else None
        found.append(
            Said(
                row=row,
                language=labelling.language,
                category=task_paths().category_of(top.path) if top else None,
                path=top.path if top else None,
                confidence=top.confidence_ppm / PPM if top else 0.0,
            )
        )
        if progress:
            progress(done, len(rows))
    return found


def audit(labeller: str, said: Sequence[Said]) -> Audit:
    """Scores, mistakes and calibration over the rows that tell the truth."""
    classes = (*task_paths().categories, OTHER)
    spoken = [item for item in said if item.row.language]
    asked = [item for item in said if item.row.category in classes]
    left_out = Counter(
        str(item.row.category) for item in said if item.row.category and item.row.category not in classes
    )
    true_languages = [str(item.row.language) for item in spoken]
    languages = [_as_coarse(item.language, str(item.row.language)) for item in spoken]
    true_tasks, tasks = [str(item.row.category) for item in asked], [item.category for item in asked]
    right = [truth == found for truth, found in zip(true_tasks, tasks, strict=True)]
    bins, error = calibration([item.confidence for item in asked], right) if asked else ([], None)
    return Audit(
        labeller=labeller,
        rows=len(said),
        languages=score(true_languages, languages, sorted(set(true_languages))) if spoken else None,
        language_confusion=_mistakes(true_languages, languages),
        tasks=score(true_tasks, tasks, classes) if asked else None,
        task_confusion=_mistakes(true_tasks, tasks),
        calibration=tuple(bins),
        calibration_error=error,
        left_out=dict(left_out.most_common()),
    )


def _as_coarse(found: str | None, truth: str) -> str | None:
    """`zh-Hans` is right where the file only says `zh`."""
    return truth if found and found.startswith(f"{truth}-") else found


def _mistakes(truth: Sequence[str], said: Sequence[str | None]) -> tuple[tuple[str, str, int], ...]:
    pairs = ((true, found, rows) for (true, found), rows in confusion(truth, said).items() if true != found)
    return tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1])))


def to_judge(said: Sequence[Said], count: int, *, seed: int = 0) -> list[tuple[str, Said]]:
    """(how it was drawn, row): half at random, which a verdict may be drawn from, half where the labeller was least
    sure, which teach most. Seeded; the same rows give the same draw."""
    order = list(range(len(said)))
    random.Random(seed).shuffle(order)
    at_random = order[: (count + 1) // 2]
    rest = sorted(order[len(at_random) :], key=lambda place: (said[place].confidence, place))
    picked = [("random", said[place]) for place in at_random]
    return picked + [("unsure", said[place]) for place in rest[: count - len(at_random)]]


def judging_sheet(picked: Sequence[tuple[str, Said]]) -> str:
    """CSV with two empty columns for a person's yes or no."""
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(JUDGED_COLUMNS)
    for drawn, item in picked:
        writer.writerow(
            [
                item.row.place,
                drawn,
                item.row.text,
                item.language or NONE,
                item.category or NONE,
                item.path or NONE,
                f"{item.confidence:.3f}",
                "",
                "",
            ]
        )
    return sheet.getvalue()


def read_verdicts(file: Path) -> list[Verdict]:
    """What the yes and no in a judged sheet come to, over its rows drawn at random. Raises TidegateError."""
    found: dict[str, list[bool]] = {"language_right": [], "task_right": []}
    try:
        content = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TidegateError(f"{file} cannot be read: {error}") from error
    for number, cells in _lines(file, content):
        for column, verdicts in found.items():
            word = str(cells.get(column) or "").strip().lower()
            if word not in ("", "yes", "no", "y", "n"):
                raise TidegateError(f"{file.name}:{number}: {column} is {word!r}; write yes, no or nothing")
            if word and cells.get("drawn") == "random":
                verdicts.append(word[0] == "y")
    if not any(found.values()):
        raise TidegateError(f"{file.name}: nobody has judged a row that was drawn at random yet; write yes or no")
    return [_verdict(column.removesuffix("_right"), verdicts) for column, verdicts in found.items() if verdicts]


def _verdict(of: str, right: Sequence[bool]) -> Verdict:
    """Wilson's interval (1927), which stays inside 0 and 1 for small samples."""
    n, z = len(right), 1.959963984540054
    share = sum(right) / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return Verdict(
        of=of, judged=n, right=sum(right), share=share, low=max(0.0, middle - half), high=min(1.0, middle + half)
    )
