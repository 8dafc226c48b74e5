"""Gemini's own kind of schema (a subset of OpenAPI 3.0) as JSON Schema, which every other dialect speaks.

The other way is not needed: Gemini takes JSON Schema as it is in `parametersJsonSchema` and `responseJsonSchema`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.wire.gemini_spelling import camel_case

DEPTH_MAX: Final = 64

_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_ONE: Final = frozenset({"items", "additionalProperties", "not"})
_MANY: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED: Final = frozenset({"properties", "defs", "$defs", "definitions"})


def json_schema(schema: Raw) -> Raw:
    """A Gemini `Schema` as JSON Schema: types in lower case, `nullable` as the type null, counts as numbers.

    Raises ValueError where it is nested deeper than DEPTH_MAX, msgspec.DecodeError where it is not JSON.
    """
    return Raw(msgspec.json.encode(_converted(msgspec.json.decode(schema), DEPTH_MAX)))


def _converted(schema: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError(f"the schema is nested deeper than {DEPTH_MAX} levels")
    if not isinstance(schema, dict):
        return schema  # `additionalProperties: false`
    written: dict[str, Any] = {}
    members: Mapping[str, Any] = {name if name[:1] in "$_" else camel_case(name): schema[name] for name in schema}
    for name, value in members.items():
        if name == "type":
            written[name] = value.lower() if isinstance(value, str) else value
        elif name in _COUNTS:
            written[name] = int(value) if isinstance(value, str) and value.isdecimal() else value
        elif name in _ONE:
            written[name] = _converted(value, depth - 1)
        elif name in _MANY and isinstance(value, list):
            written[name] = [_converted(one, depth - 1) for one in value]
        elif name in _NAMED and isinstance(value, dict):
            written[name] = {own: _converted(inner, depth - 1) for own, inner in value.items()}
        elif name not in ("nullable", "propertyOrdering", "example") and not (name == "format" and value == "enum"):
            written[name] = value
    if members.get("nullable") is True:
        _allow_null(written)
    return written


def _allow_null(written: dict[str, Any]) -> None:
    kind = written.get("type")
    if isinstance(kind, str):
        written["type"] = [kind, "null"]
    elif isinstance(written.get("anyOf"), list):
        written["anyOf"] = [*written["anyOf"], {"type": "null"}]
    if isinstance(written.get("enum"), list) and None not in written["enum"]:
        written["enum"] = [*written["enum"], None]
