"""What the sender of a body that cannot be read is told: where, and what was expected there; never the body's text."""

from typing import Final, NoReturn

import msgspec

from tidegate.core.errors import InvalidRequest

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading a body may raise."""


def refusal_of(error: Exception, kind: str) -> InvalidRequest:
    """The answer to a body that is no `kind`, from one of UNREADABLE."""
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        param = text.rpartition("`$.")[2].rstrip("`") if "`$." in text else None
        if "missing required field `model`" in text:
            text, param = "the field `model` is missing: name a model, for example one of GET /v1/models", "model"
        return InvalidRequest(f"The request body is not a {kind}: {text}.", param=param)
    if isinstance(error, RecursionError):
        return InvalidRequest("The request body is nested too deeply.")
    return InvalidRequest(f"The request body is not valid JSON: {error}.")


def refuse_body(error: Exception, kind: str) -> NoReturn:
    """Raise `refusal_of`."""
    raise refusal_of(error, kind) from None
