"""Model names: taking them apart without knowing any model.

A name is `author/stem[-date][:variant]`; each part but the stem may be missing. Everything here is a pure function over
text: which names mean the same model is decided in `catalog.py`, from these parts.
"""

import re
from typing import Final, NamedTuple

VARIANTS: Final = frozenset(
    [
        "free",
        "beta",
        "thinking",
        "extended",
        "exacto",
        "nitro",
        "floor",
        "online",
        "batch",
        "flex",
        "priority",
        "fast",
        "standard",
        "self-moderated",
    ]
)
"""Suffixes after `:` that name a way of serving a model, not another model (OpenRouter's and their kin)."""

STANDARD: Final = "standard"  # how OpenRouter's feeds spell "no variant"

_DATE = re.compile(r"-(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$")
_VERSION_DASH = re.compile(r"(?<=\d)-(?=\d(?:-|$))")
_WHOLE_VERSION = re.compile(r"^(\D*\d+)\.0$")
_MIXTURE = re.compile(r"(?:^|[-_/])(\d+(?:\.\d+)?)([bmt])-a(\d+(?:\.\d+)?)b(?=$|[-_.:])")
_DENSE = re.compile(r"(?:^|[-_/])(\d+(?:\.\d+)?)([bmt])(?=$|[-_:])")
_SCALE: Final = {"m": 10**6, "b": 10**9, "t": 10**12}


class Parts(NamedTuple):
    """A name taken apart. `date` is as written, empty where the name carries none; `variant` likewise."""

    author: str
    stem: str
    date: str
    variant: str


def take_apart(name: str) -> Parts:
    """Split any spelling of a model name; never fails, lower-cases, and leaves what it does not know in the stem."""
    text = name.strip().lower()
    base, _, suffix = text.rpartition(":")
    if base and suffix in VARIANTS:
        text, variant = base, "" if suffix == STANDARD else suffix
    else:
        variant = ""
    author, _, stem = text.rpartition("/")
    date = ""
    if match := _DATE.search(stem):
        stem, date = stem[: match.start()], match[0][1:]
    return Parts(author.rpartition("/")[2], stem, date, variant)


def dated_spellings(stem: str, date: str) -> tuple[str, ...]:
    """How a dated snapshot may be listed as a model of its own: `x-20260731` as `x-0731`, `x-07-31` or `x-2607`.

    date: `20260731` or `2026-07-31`. The most exact spelling comes first; the bare stem is not among them.
    """
    digits = date.replace("-", "")
    year, month, day = digits[:4], digits[4:6], digits[6:]
    return (
        f"{stem}-{month}{day}",
        f"{stem}-{month}-{day}",
        f"{stem}-{year[2:]}{month}",
    )


def spelling_key(stem: str) -> str:
    """One key for the spellings of one stem: `claude-4.5-sonnet`, `claude-sonnet-4-5` and `Claude_Sonnet_4.5` agree.

    Words may change places, but a version keeps its digits in order, so `gpt-4.5` and `gpt-5.4` differ.
    """
    text = _VERSION_DASH.sub(".", stem.lower().replace("_", "-").replace(" ", "-"))
    words = [_WHOLE_VERSION.sub(r"\1", word) for word in text.split("-") if word]
    return " ".join(sorted(words))


def parameters_in_name(stem: str) -> tuple[int, int]:
    """(total, active) counts of weights that a name states (`qwen3-30b-a3b`, `gemma-3-27b-it`); (0, 0) if none.

    A dense model's active weights are all of them. Products such as `8x7b` state neither and give (0, 0).
    """
    text = stem.lower()
    if match := _MIXTURE.search(text):
        return round(float(match[1]) * _SCALE[match[2]]), round(float(match[3]) * 10**9)
    if match := _DENSE.search(text):
        total = round(float(match[1]) * _SCALE[match[2]])
        return total, total
    return 0, 0
