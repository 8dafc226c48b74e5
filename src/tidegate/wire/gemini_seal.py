"""Gemini's `thoughtSignature`: a maker's seal on a part, in base64, which callers send back unchanged.

Google's SDKs read it as bytes, so the seal of another maker travels as base64 of its carrier (`wire/carrier.py`).
"""

import base64
import binascii
from typing import Final

from tidegate.wire.carrier import PREFIX, Carried, pack, unpack
from tidegate.wire.conversation import Origin

NOT_SEALED: Final = "skip_thought_signature_validator"
"""What Gemini 3 wants on a call that it did not make itself; without it such a history is refused (400).

Source: ai.google.dev/gemini-api/docs/thought-signatures, FAQ."""

CARRIER_START: Final = base64.b64encode(PREFIX.encode())[:5].decode()


def seal(origin: Origin, signature: str, *, call_id: str = "", item_id: str = "", is_redacted: bool = False) -> str:
    """A `thoughtSignature` for a caller: Gemini's own as it is, any other in a carrier."""
    if origin == "gemini" and not is_redacted:
        return signature
    carrier = pack(origin, signature, call_id, item_id, is_redacted=is_redacted)
    return base64.b64encode(carrier.encode()).decode()


def unseal(signature: str) -> Carried:
    """Whose seal a caller's `thoughtSignature` is, and the seal itself. One that carries no other's is Gemini's."""
    text = signature
    if signature.startswith(CARRIER_START):
        try:
            standard = signature.replace("-", "+").replace("_", "/").rstrip("=")
            text = base64.b64decode(standard + "=" * (-len(standard) % 4)).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            return Carried("gemini", signature)
    return unpack(text) or Carried("gemini", signature)
