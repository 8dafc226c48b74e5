"""Stripe's webhooks, as its documentation has them ("Verify webhook signatures", "Checkout: fulfil orders").

`Stripe-Signature: t=UNIX,v1=HEX[,v1=HEX]`, HEX = HMAC-SHA256(endpoint secret, "UNIX." + raw body). Paid are
`checkout.session.completed` with `payment_status: paid`, `checkout.session.async_payment_succeeded`, and
`payment_intent.succeeded`. The order is `client_reference_id`, or `tidegate_order` of the metadata. Amounts are in the
currency's smallest unit, which for the nine currencies here is ISO 4217's.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final

from tidegate.accounts.money.callbacks import (
    Callback,
    CallbackMalformed,
    CallbackUnsigned,
    Notice,
    Payment,
    checked_id,
    decode,
    is_signed,
)
from tidegate.core.fx import MINOR_DIGITS, Amount

METADATA_ORDER: Final = "tidegate_order"
SIGNATURES_MAX: Final = 16
ANSWER: Final = b'{"received":true}'


def read(callback: Callback, secrets: Sequence[bytes], tolerance_s: int, now_s: int) -> Payment | Notice:
    """What a webhook says. Raises CallbackUnsigned, CallbackMalformed."""
    _verify(callback, secrets, tolerance_s, now_s)
    event = decode(callback.body)
    event_id = checked_id(event.get("id"), "id")
    kind = str(event.get("type"))[:80]
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        raise CallbackMalformed("the event has no data.object")
    if kind in ("checkout.session.completed", "checkout.session.async_payment_succeeded"):
        if subject.get("payment_status") != "paid":
            return Notice(event_id=event_id, why=f"{kind}: payment_status {str(subject.get('payment_status'))[:40]}")
        return _payment(event_id, subject, "amount_total", subject.get("payment_intent") or subject.get("id"))
    if kind == "payment_intent.succeeded":
        return _payment(event_id, subject, "amount_received", subject.get("id"))
    return Notice(event_id=event_id, why=f"events of type {kind} credit nobody")


def signature_header(body: bytes, secret: bytes, unix_s: int) -> str:
    """The header that Stripe would send."""
    return f"t={unix_s},v1={_proof(body, secret, str(unix_s))}"


def _payment(event_id: str, subject: dict[str, Any], amount_field: str, payment_id: object) -> Payment | Notice:
    metadata = subject.get("metadata")
    named = metadata.get(METADATA_ORDER) if isinstance(metadata, dict) else None
    order_id = subject.get("client_reference_id") or named
    if not order_id:
        return Notice(
            event_id=event_id, why=f"neither client_reference_id nor metadata.{METADATA_ORDER}: not our order"
        )
    minor, currency = subject.get(amount_field), str(subject.get("currency")).upper()
    if type(minor) is not int or currency not in MINOR_DIGITS:
        raise CallbackMalformed(f"{amount_field} {str(minor)[:40]!r} of currency {currency[:16]!r} is no amount")
    return Payment(
        event_id=event_id,
        payment_id=checked_id(payment_id, "payment_intent"),
        order_id=checked_id(order_id, "client_reference_id"),
        amount=Amount(currency, minor),
    )


def _verify(callback: Callback, secrets: Sequence[bytes], tolerance_s: int, now_s: int) -> None:
    pairs = [part.strip().partition("=") for part in callback.headers.get("stripe-signature", "").split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"][:SIGNATURES_MAX]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) < 15) or not signatures:
        raise CallbackUnsigned("Stripe-Signature is missing or has no t=UNIX,v1=SIGNATURE")
    proofs = [_proof(callback.body, secret, times[0]) for secret in secrets]
    if not any(is_signed(signature, proofs) for signature in signatures):
        raise CallbackUnsigned("no v1 signature of Stripe-Signature fits this body and the endpoint's secret")
    if abs(now_s - int(times[0])) > tolerance_s:
        raise CallbackUnsigned(f"the signature is of {times[0]}, more than {tolerance_s} s away from now; a replay?")


def _proof(body: bytes, secret: bytes, unix_s: str) -> str:
    return hmac.new(secret, unix_s.encode() + b"." + body, hashlib.sha256).hexdigest()
