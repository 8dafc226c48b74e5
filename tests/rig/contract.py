"""OpenAI's published schemas as judges of what we write."""

from functools import cache
from pathlib import Path

import pytest
import yaml

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "openai-openapi.yaml"


@cache
def schemas():
    if not CONTRACT.is_file():
        pytest.skip("../shared/contracts is not beside this checkout: no schema to judge by")
    text = CONTRACT.read_text()
    return _loosened(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["components"])


def _loosened(node):
    """`oneOf` there is told apart by a discriminator that JSON Schema does not know, so any branch will do."""
    if isinstance(node, dict):
        return {("anyOf" if key == "oneOf" else key): _loosened(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_loosened(value) for value in node]
    return node


@cache
def _validator(name):
    jsonschema = pytest.importorskip("jsonschema")
    document = {"$ref": f"#/components/schemas/{name}", "components": schemas()}
    return jsonschema.Draft202012Validator(document)


def check(name, value):
    """Fails naming the place where `value` is not what the schema `name` says."""
    error = next(_validator(name).iter_errors(value), None)
    if error is not None:
        deepest = error
        while deepest.context:
            deepest = max(deepest.context, key=lambda inner: len(inner.absolute_path))
        raise AssertionError(f"{name}: at {list(deepest.absolute_path)}: {deepest.message[:300]} (in {value!r:.600})")


@cache
def _schema_of_event():
    names = [branch["$ref"].rpartition("/")[2] for branch in schemas()["schemas"]["ResponseStreamEvent"]["anyOf"]]
    known = [(name, schemas()["schemas"][name].get("properties", {}).get("type", {})) for name in names]
    return {word: name for name, kind in known for word in kind.get("enum", ())}


def check_event(value):
    """As `check`, for one event of a Responses stream."""
    check(_schema_of_event()[value["type"]], value)
