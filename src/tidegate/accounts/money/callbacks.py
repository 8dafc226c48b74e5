"""Callbacks of payment providers: what they all have in common. One file a contract reads them; nobody else does.

A reader proves the signature over the bytes as they came, before it believes a word, and says what was paid for which
order. That is all a callback can say: whom the order credits, with how much, is ours, and was settled before.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tidegate.core.errors import GatewayError
from tidegate.core.fx import Amount

BODY_BYTES_MAX: Final = 64 * 1024
ID_CHARS_MAX: Final = 255


class CallbackUnsigned(GatewayError):
    """The signature is missing, wrong, or too old to be believed."""

    status, code, kind = 401, "bad_signature", "authentication_error"


class CallbackMalformed(GatewayError):
    """Signed, and yet without what its contract promises."""

    status, code, kind = 400, "malformed_callback", "invalid_request_error"


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a payment provider. headers: by lower-case name. query: what follows `?`, as it came."""

    method: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's word that an order was paid.

    `event_id`: the callback's own id, the same when it is sent again. `payment_id`: the payment's.
    """

    event_id: str
    payment_id: str
    order_id: str
    amount: Amount


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A genuine callback that credits nobody: another event, another state. `why`: for the log."""

    event_id: str
    why: str


def is_signed(signature: str, proofs: Sequence[str]) -> bool:
    """The signature is one of the proofs; the time it takes does not tell which letters differ."""
    given = signature.encode("utf-8", "replace")
    return any(hmac.compare_digest(given, proof.encode()) for proof in proofs)


def checked_id(value: object, name: str) -> str:
    """A text of a callback that names something. Raises CallbackMalformed where it cannot."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value or len(value) > ID_CHARS_MAX or not value.isprintable():
        raise CallbackMalformed(
            f"the callback's {name} is {str(value)[:80]!r}; a text of up to {ID_CHARS_MAX} expected"
        )
    return value


_decoder = msgspec.json.Decoder(float_hook=str)


def decode(body: bytes) -> dict[str, Any]:
    """A JSON object; numbers with a point stay text, so that no amount is ever a float. Raises CallbackMalformed."""
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CallbackMalformed(f"the callback is signed and is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CallbackMalformed("the callback is signed and is no JSON object")
    return found


def field_at(body: Mapping[str, Any], path: str) -> Any:
    """The value at `a.b.c`; None where it is not there."""
    found: Any = body
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
