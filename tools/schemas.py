"""JSON schemas of what is read of a request, and of values that were made to be looked at."""

from typing import Any, Final

import msgspec

Json = dict[str, Any]

SAID: Final = frozenset(("type", "object", "code", "status", "error_type", "@type", "reason", "domain", "lifecycle"))
"""Members whose values are closed lists."""


def head_schema(head: type[msgspec.Struct]) -> Json:
    """What decides something in a request; members that are only passed on are left to the dialect."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(head):
        if field.type is not msgspec.Raw:
            fields.append((field.name, field.type) if field.required else (field.name, field.type, None))
    shown = msgspec.defstruct(head.__name__, fields, kw_only=True)
    _, found = msgspec.json.schema_components([shown], ref_template="{name}")
    schema = found.pop(head.__name__)
    for member in schema["properties"].values():
        member.pop("default", None)
        for choice in member.get("anyOf", ()):
            choice |= found.get(choice.pop("$ref", ""), {})
            choice.pop("title", None)
    return {"type": "object", "properties": schema["properties"], "required": schema["required"]}


def inferred(samples: list[Any], name: str = "") -> Json:
    """The narrowest schema that all samples fit. name: of the member they are values of; see SAID."""
    kinds = sorted({KIND_OF[type(sample)] for sample in samples})
    if name in SAID and kinds in (["string"], ["integer"]):
        return {"enum": sorted(set(samples))}
    found: Json = {"type": kinds[0] if len(kinds) == 1 else kinds}
    objects = [sample for sample in samples if isinstance(sample, dict)]
    if objects:
        members = dict.fromkeys(key for sample in objects for key in sample)
        found["properties"] = {key: inferred([o[key] for o in objects if key in o], key) for key in members}
        found["required"] = [key for key in members if all(key in sample for sample in objects)]
    elements = [element for sample in samples if isinstance(sample, list) for element in sample]
    if elements:
        found["items"] = inferred(elements)
    return found


KIND_OF: Final = {dict: "object", list: "array", str: "string", int: "integer", float: "number", bool: "boolean",
                  type(None): "null"}  # fmt: skip


def named(name: str, value: Json) -> Json:
    """An object that has a member, and in it the value."""
    return {"type": "object", "required": [name], "properties": {name: value}}
