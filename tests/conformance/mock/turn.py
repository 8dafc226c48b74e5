"""What the mock says, before any dialect gives it a shape.

The request's model decides, by the words in its name (`acme+tools+tiny`, `gpt-tools`); any other name means plain text.

    thinks      a thought with a signature comes first
    tools       calls the first two of the tools offered, unless the last message brings tool results
    empty       calls the first tool without arguments
    refuses     a refusal in place of text
    short       stopped by the token limit
    filtered    stopped by the content filter
    nousage     says nothing of usage

The words of misbehaviour are in `conformance.mock.faults`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

TEXT = "Two and two are four."
THOUGHT = "The user asks for a sum. Two and two are four."
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBtb2Nr"
REFUSAL = "I cannot help with that."

INPUT, CACHED, OUTPUT, REASONING = 12, 4, 5, 2  # tokens, cached within input, reasoning within output
CREATED_S = 1_795_000_000


class ToolCall(NamedTuple):
    call_id: str
    name: str
    arguments: dict[str, Any]


class Turn(NamedTuple):
    """One turn of the mock. stop: `stop`, `length`, `tool_calls`, `content_filter` or `refusal`."""

    text: str = TEXT
    thought: str = ""
    refusal: str = ""
    calls: tuple[ToolCall, ...] = ()
    stop: str = "stop"


class Asked(NamedTuple):
    """What of a request bears on the answer. schema: JSON Schema that the text must fit."""

    model: str
    tools: Mapping[str, Any]  # name -> JSON Schema of its arguments
    is_forced: bool = False  # a tool must be called
    has_results: bool = False  # the last message brings results of tools
    schema: Any = None


def words(model: str) -> frozenset[str]:
    return frozenset(re.split(r"[^a-z0-9]+", model.lower()))


def take_turn(asked: Asked, arguments: Mapping[str, dict[str, Any]] | None = None) -> Turn:
    """The turn that a request calls for. arguments: by name of the tools to be called, instead of made-up ones."""
    said = words(asked.model)
    thought = THOUGHT if "thinks" in said else ""
    if asked.tools and not asked.has_results and (asked.is_forced or said & {"tools", "empty"}):
        given = arguments or {}
        names = [name for name in asked.tools if name in given] or list(asked.tools)[: 2 if "tools" in said else 1]
        calls = tuple(
            ToolCall(f"call_mock{i}", name, {} if "empty" in said else given.get(name, example(asked.tools[name])))
            for i, name in enumerate(names)
        )
        return Turn("", thought, calls=calls, stop="tool_calls")
    if "refuses" in said:
        return Turn("", thought, refusal=REFUSAL, stop="refusal")
    if "filtered" in said:
        return Turn("Two and", thought, stop="content_filter")
    if "short" in said:
        return Turn("Two and", thought, stop="length")
    if asked.schema is not None:
        return Turn(to_json(example(asked.schema)), thought)
    return Turn(TEXT, thought)


def pieces(text: str) -> list[str]:
    """A text as a model streams it: word by word."""
    return re.findall(r"\S+\s*|\s+", text)


def halves(text: str) -> Iterator[str]:
    """JSON as it is streamed: cut where no token ends."""
    middle = (len(text) + 1) // 2
    yield from (part for part in (text[:middle], text[middle:]) if part)


def to_json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def example(schema: Any, root: Any = None) -> Any:
    """The smallest instance of a JSON Schema that shows all its required and optional members."""
    if not isinstance(schema, dict):
        return "tide"
    root = schema if root is None else root
    if "$ref" in schema:
        target = root
        for step in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[step]
        return example(target, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return example(schema[key][0], root)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else str(kind).lower()
    if kind == "object":
        members = schema.get("properties") or {}
        return {name: example(member, root) for name, member in members.items() if isinstance(member, dict)}
    if kind == "array":
        return [example(schema.get("items"), root)]
    plain: dict[str, Any] = {"integer": 4, "number": 4.5, "boolean": True, "null": None}
    return plain.get(kind, "tide")
