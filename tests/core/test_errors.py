"""One family of errors, one shape."""

import msgspec
import pytest

from tidegate.core import errors
from tidegate.core.errors import GatewayError, ModelNotFound, error_body


def family(base: type[GatewayError]) -> list[type[GatewayError]]:
    """The classes of this module; other rooms may add their own."""
    kinds = [kind for child in base.__subclasses__() for kind in (child, *family(child))]
    return [kind for kind in kinds if kind.__module__ == errors.__name__]


def test_every_error_has_a_status_and_a_code_of_its_own() -> None:
    """The code is what the row and the SDKs see: two errors may not share one."""
    kinds = family(GatewayError)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(400 <= kind.status < 600 for kind in kinds)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """A reader of the module sees every class and its status."""
    for kind in family(GatewayError):
        line = next(line for line in errors.__doc__.splitlines() if kind.__name__ in line.split())
        assert str(kind.status) in line


@pytest.mark.parametrize("model", ["gpt-4o-mni", "nothing-like-it"])
def test_an_unknown_model_says_what_to_do(model: str) -> None:
    """A near miss is named, anything else is sent to the list."""
    text = str(ModelNotFound(model, ["gpt-4o-mini", "gpt-4o"]))
    assert "Did you mean gpt-4o-mini" in text if model == "gpt-4o-mni" else "/v1/models" in text


def test_the_shape_is_what_the_sdks_read() -> None:
    """message, type, param, code; ours under metadata."""
    body = error_body(ModelNotFound("x", []), provider_name="p")["error"]
    assert set(body) == {"message", "type", "param", "code", "metadata"}
    assert body["metadata"] == {"error_type": "model_not_found", "provider_name": "p"}
    assert msgspec.json.decode(msgspec.json.encode(body)) == body
