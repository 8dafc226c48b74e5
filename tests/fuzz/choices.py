"""Bytes as decisions: the same bytes always make the same input, so a fuzzer that turns bytes turns meanings."""

import copy
import json
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")
EDITS_MAX = 4


class Choices:
    """Decisions taken from the front of `data`; zeros where it has run out."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1, of one byte, or two where one is too small."""
        width = 1 if limit <= 256 else 2
        piece = self._data[self._at : self._at + width]
        self._at += width
        return int.from_bytes(piece, "big") % limit

    def one(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    @property
    def rest(self) -> bytes:
        return self._data[self._at :]


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


ODD: list[Any] = [
    None, True, False, 0, 1, -1, 7, 1.5, -0.0, 1e308, float("nan"), float("inf"),
    2**31, 2**53 + 1, 2**63, 2**64, 10**40,
    "", "x", " ", "\x00", "\u2028", "\ud800", "é☂", "0", "1", "null", "{}", '{"a":', "[DONE]", "data:", "x" * 300,
    "data:image/png;base64,AAAA", "data:;base64,%", "http://x/y.png", "gs://x/y",
    "tg1.", "tg1.e30", "tg1.eyJvIjoib3BlbmFpIiwicyI6IngifQ",
    "text", "tool", "user", "system", "developer", "assistant", "model", "function",
    "stop", "length", "auto", "any", "none", "required",
    [], {}, [None], [[]], [{}], [""], [0], {"": None}, {"type": None}, {"type": "text"}, {"type": "x"}, {"text": 1},
    {"role": "user", "content": None}, {"type": "tool_use"}, {"type": "function", "function": None}, _nested(60),
]  # fmt: skip


def altered(value: Any, take: Choices, spare: Sequence[Any]) -> Any:
    """A copy of a JSON value with a few of its nodes replaced, removed, doubled, renamed or moved.

    spare: other values of the same kind, whose nodes may be put in.
    """
    box = [copy.deepcopy(value)]
    for _ in range(take.below(EDITS_MAX) + 1):
        _edit(box, take, spare)
    return box[0]


def _places(value: Any, found: list[tuple[Any, Any]], holder: Any, key: Any) -> list[tuple[Any, Any]]:
    """Every node of a value, as the list or dict that holds it and its place there."""
    found.append((holder, key))
    if isinstance(value, dict):
        for name in value:
            _places(value[name], found, value, name)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            _places(item, found, value, at)
    return found


def _edit(box: list[Any], take: Choices, spare: Sequence[Any]) -> None:
    holder, key = take.one(_places(box[0], [], box, 0))
    match take.below(6):
        case 0 | 1:
            holder[key] = copy.deepcopy(take.one(ODD))
        case 2:
            other = [take.one(spare)]
            source, at = take.one(_places(other[0], [], other, 0))
            holder[key] = copy.deepcopy(source[at])
        case 3 if holder is not box:
            del holder[key]
        case 4 if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case 5 if isinstance(holder, dict) and len(holder) > 1:
            other_key = take.one(list(holder))
            holder[other_key] = holder.pop(key)
        case _:
            holder[key] = [holder[key]]


def as_json(value: Any, take: Choices) -> bytes:
    """As a client may write it: compact or not, in ASCII or not."""
    if take.below(2):
        return json.dumps(value).encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
