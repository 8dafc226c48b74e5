"""Usage read by a table of one provider's own fields (`data/usage_fields.yml`), for audits.

`wire/usage.py` reads what any provider of a dialect may say; this reads what one of them does, no more. Counts have the
names of that table: totals `input_tokens` and `output_tokens`, and parts of them.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

import msgspec
from msgspec import Struct, field

from tidegate.core.usage import Usage
from tidegate.wire.usage import agreeing

_STEP: Final = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<key>[^=\]]+)=(?P<value>[^\]]*)\])?")

USAGE_OF: Final = {  # count -> member of Usage
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
    "cache_write_1h_tokens": "cache_creation_1h_input_tokens",
    "output_reasoning_tokens": "reasoning_output_tokens",
    "web_searches": "web_searches",
}
KINDS_OF: Final = {  # count -> member of TokenKinds
    **{f"input_{kind}_tokens": f"{kind}_input" for kind in ("audio", "image", "video")},
    **{f"cache_{kind}_read_tokens": f"{kind}_cache_read" for kind in ("audio", "image", "video")},
    **{f"output_{kind}_tokens": f"{kind}_output" for kind in ("audio", "image", "video", "citation")},
}


class Reading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to read a body; the fields are described at the head of `data/usage_fields.yml`."""

    root: str = "usage"
    model: str = "model"
    needs: dict[str, str] = field(default_factory=dict)
    adds: dict[str, list[str]] = field(default_factory=dict)


class Telltale(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member by which a body is known as one of `reading`."""

    member: str
    reading: str


class UsageFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole table. Raises ValueError where it names a reading that it does not hold."""

    source: str
    checked: str
    readings: dict[str, Reading]
    providers: dict[str, dict[str, list[str]]]
    flavours: dict[str, str]
    told_by: list[Telltale]

    def __post_init__(self) -> None:
        named = {name for flavours in self.providers.values() for names in flavours.values() for name in names}
        named |= set(self.flavours.values()) | {telltale.reading for telltale in self.told_by}
        if unknown := sorted(named - set(self.readings)):
            raise ValueError(f"no reading is called {', '.join(unknown)}: add it under `readings`")

    def of(self, provider: str, flavour: str) -> list[Reading]:
        """How a provider's flavour is read: today's way first. Empty where neither is known."""
        names = self.providers.get(provider, {}).get(flavour)
        if names is None:
            names = [self.flavours[flavour]] if flavour in self.flavours else []
        return [self.readings[name] for name in names]

    def told_from(self, body: object) -> Reading | None:
        """How a body is read that nobody said anything about; None where it looks like none we know."""
        name = next((one.reading for one in self.told_by if member(body, one.member) is not None), None)
        return None if name is None else self.readings[name]


@cache
def _steps(path: str) -> tuple[tuple[str, str, str], ...]:
    """A path as steps: a member's name and, for a list, the key and value that its element must have."""
    steps = []
    for step in path.split("."):
        found = _STEP.fullmatch(step)
        if found is None:
            raise ValueError(f"{path!r} is not a path: write a.b or a[key=value].b")
        steps.append((found["name"], found["key"] or "", found["value"] or ""))
    return tuple(steps)


def member(body: object, path: str) -> object:
    """What stands at a path of a decoded body; None where nothing does."""
    for name, key, value in _steps(path):
        if not isinstance(body, Mapping):
            return None
        body = body.get(name)
        if key:
            if not isinstance(body, list):
                return None
            body = next((one for one in body if isinstance(one, Mapping) and one.get(key) == value), None)
    return body


def read_model(body: object, reading: Reading) -> str:
    """The model that the body itself names; empty where it names none."""
    named = member(body, reading.model)
    return named if isinstance(named, str) else ""


def read_counts(body: object, reading: Reading) -> dict[str, int] | None:
    """The counts of a decoded body, those that are not zero; None where it is not of this reading."""
    usage = member(body, reading.root)
    if not isinstance(usage, Mapping):
        return None
    counts: dict[str, int] = {}
    for name, path in reading.needs.items():
        found = _count(member(usage, path))
        if found is None:
            return None
        counts[name] = found
    for name, paths in reading.adds.items():
        for path in paths:
            found = _count(member(usage, path))
            if found is not None:
                counts[name] = counts.get(name, 0) + found
    return {name: found for name, found in counts.items() if found} if counts else None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return int(value) if value == int(value) else None


def usage_of(counts: Mapping[str, int]) -> Usage:
    """Counts of the table as usage. What `Usage` has no name for (pages, text, tools' share) is a part of its total.

    Where only some of the writes to the cache are said to be for an hour, so many are.
    """
    own: dict[str, int] = {"input_tokens": 0, "output_tokens": 0}
    own |= {ours: counts[name] for name, ours in USAGE_OF.items() if name in counts}
    kinds = {ours: counts[name] for name, ours in KINDS_OF.items() if name in counts}
    usage = agreeing(own, kinds)
    seconds = counts.get("audio_seconds", 0)
    return msgspec.structs.replace(usage, audio_input_s=seconds) if seconds else usage
