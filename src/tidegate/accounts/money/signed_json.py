"""JSON under an HMAC, as acquirers of QRIS in Indonesia send it, and many others. Every name in it is a setting.

The defaults are Tripay's closed-payment callback (https://tripay.co.id/developer?tab=callback):
`X-Callback-Signature` = hex HMAC-SHA256(private key, raw body); `merchant_ref` is our order, `reference` theirs,
`total_amount` whole rupiah, `status` one of PAID, EXPIRED, FAILED, REFUND; the receipt is `{"success":true}`.
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.accounts.money.callbacks import (
    Callback,
    CallbackMalformed,
    CallbackUnsigned,
    Notice,
    Payment,
    checked_id,
    decode,
    field_at,
    is_signed,
)
from tidegate.core.fx import Amount, CurrencyUnknown, minor_digits, parse_amount
from tidegate.core.money import InvalidMoney, parse_decimal
from tidegate.core.topup_settings import TopupConfig


def read(
    callback: Callback, channel: TopupConfig, secrets: Sequence[bytes], currency: str, now_s: int
) -> Payment | Notice:
    """What a callback says. currency: the channel's, where callbacks name none.

    Raises CallbackUnsigned, CallbackMalformed.
    """
    _verify(callback, channel, secrets, now_s)
    body = decode(callback.body)
    payment_id = checked_id(field_at(body, channel.payment_field), channel.payment_field)
    status = str(field_at(body, channel.status_field))
    event_id = f"{payment_id}/{status}"[:255]
    if status not in channel.status_paid:
        return Notice(event_id=event_id, why=f"{channel.status_field} {status[:40]!r}")
    return Payment(
        event_id=event_id,
        payment_id=payment_id,
        order_id=checked_id(field_at(body, channel.order_field), channel.order_field),
        amount=_amount(body, channel, currency),
    )


def sign(body: bytes, channel: TopupConfig, secret: bytes, timestamp: str = "") -> str:
    """The signature that a provider of this channel would send."""
    text = channel.signed_text.encode().replace(b"{timestamp}", timestamp.encode()).replace(b"{body}", body)
    digest = hmac.new(secret, text, channel.algorithm)
    return digest.hexdigest() if channel.encoding == "hex" else base64.b64encode(digest.digest()).decode()


def _verify(callback: Callback, channel: TopupConfig, secrets: Sequence[bytes], now_s: int) -> None:
    signature = callback.headers.get(channel.signature_header.lower(), "").removeprefix(f"{channel.algorithm}=")
    timestamp = callback.headers.get(channel.timestamp_header.lower(), "") if channel.timestamp_header else ""
    if channel.encoding == "hex":
        signature = signature.lower()
    if not is_signed(signature, [sign(callback.body, channel, secret, timestamp) for secret in secrets]):
        raise CallbackUnsigned(f"the header {channel.signature_header} does not fit this body and the channel's secret")
    if channel.timestamp_header:
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 15):
            raise CallbackUnsigned(f"the header {channel.timestamp_header} is no Unix time in seconds")
        if abs(now_s - int(timestamp)) > channel.tolerance_s:
            raise CallbackUnsigned(f"the callback is more than {channel.tolerance_s} s away from now; a replay?")


def _amount(body: Mapping[str, Any], channel: TopupConfig, currency: str) -> Amount:
    value = field_at(body, channel.amount_field)
    if channel.currency_field:
        currency = str(field_at(body, channel.currency_field)).upper()
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise CallbackMalformed(f"{channel.amount_field} is {str(value)[:40]!r}; an amount expected")
    try:
        if channel.amount_unit == "major":
            return parse_amount(str(value), currency)
        minor_digits(currency)
        return Amount(currency, parse_decimal(str(value), 0))
    except (InvalidMoney, CurrencyUnknown) as error:
        raise CallbackMalformed(f"{channel.amount_field}: {error}") from error
