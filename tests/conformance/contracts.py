"""The published OpenAPI documents, as judges of replies: OpenAI's for `/v1`, OpenRouter's for `/api/v1`.

Null and absence are taken to say the same: OpenAI itself sends `usage: null` where its document has an object, and
OpenRouter's requires members that may be null and that other providers, whose bytes we pass on, do not know.

They lie beside the repository in `shared/contracts`, and are large: without them the tests that ask are skipped.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "contracts"
ANNOTATIONS = {"description", "example", "examples", "title"}
FILES = {"openai": "openai-openapi.yaml", "openrouter": "openrouter-openapi.yaml"}


@lru_cache
def document(name: str) -> Any:
    """An OpenAPI document; skips the test where it is not at hand."""
    path = FOLDER / FILES[name]
    if not path.is_file():
        pytest.skip(f"{path} is not here; it is not part of the repository")
    found = with_nulls(yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    relax(found, found)
    return found


def relax(node: Any, root: Any) -> None:
    """Takes from `required` what may be null."""
    if isinstance(node, list):
        for one in node:
            relax(one, root)
    elif isinstance(node, dict):
        members = node.get("properties")
        if isinstance(members, dict) and isinstance(node.get("required"), list):
            node["required"] = [one for one in node["required"] if not may_be_null(members.get(one), root)]
        for one in node.values():
            relax(one, root)


def may_be_null(schema: Any, root: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return may_be_null(target, root)
    said = schema.get("type")
    if not set(schema) - ANNOTATIONS or said == "null" or (isinstance(said, list) and "null" in said):
        return True
    return any(may_be_null(one, root) for word in ("anyOf", "oneOf") for one in schema.get(word, ()))


def without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return value


def with_nulls(node: Any) -> Any:
    """OpenAPI 3.0's `nullable`, which OpenAI's document of 3.1 still uses, as JSON Schema says it."""
    if isinstance(node, list):
        return [with_nulls(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {name: with_nulls(value) for name, value in node.items()}
    if found.get("nullable") is True:
        return {"anyOf": [{name: value for name, value in found.items() if name != "nullable"}, {"type": "null"}]}
    return found


@lru_cache
def judge(name: str, pointer: str) -> jsonschema.Draft202012Validator:
    """A validator of one schema of a document, by JSON pointer."""
    resource = Resource(contents=document(name), specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(name, resource)
    return jsonschema.Draft202012Validator({"$ref": f"{name}#{pointer}"}, registry=registry)


def reply_pointer(path: str, content_type: str, status: int = 200, method: str = "post") -> str:
    """Where a document keeps the schema of a reply."""
    return f"/paths/{escaped(path)}/{method}/responses/{status}/content/{escaped(content_type)}/schema"


def request_pointer(path: str) -> str:
    return f"/paths/{escaped(path)}/post/requestBody/content/{escaped('application/json')}/schema"


def escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def faults(name: str, pointer: str, value: Any) -> list[str]:
    """What a document says against a value; empty where it fits."""
    if judge(name, pointer).is_valid(value):
        return []
    found = []
    for error in judge(name, pointer).iter_errors(without_nulls(value)):
        inner = jsonschema.exceptions.best_match([error])
        place = "/".join(map(str, inner.absolute_path))
        found.append(f"{place or 'the whole'}: {inner.message[:200]}")
    return found


def events(body: bytes) -> list[Any]:
    """The data of a stream's events; `[DONE]` left out."""
    lines = [line[5:].strip() for line in body.split(b"\n") if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]
