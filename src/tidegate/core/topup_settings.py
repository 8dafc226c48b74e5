"""Settings of top-ups: each channel is one payment provider whose signed callbacks credit wallets.

They stand in `tidegate.toml` as `[topups.NAME]` and are part of `tidegate.config`. Secrets are never among them: only
the names of the environment variables that hold them.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from tidegate.core.fx import MINOR_DIGITS, parse_amount

Contract = Literal["stripe", "epay", "signed-json"]
CURRENCIES: Final[dict[Contract, tuple[str, ...]]] = {
    "stripe": tuple(MINOR_DIGITS),
    "epay": ("CNY",),
    "signed-json": ("IDR",),
}
"""What a channel takes that does not say."""


def _help(text: str) -> Meta:
    return Meta(description=text)


class TopupConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way of paying in; its callbacks come to `/topups/NAME`. Field names default to Tripay's (QRIS, Indonesia)."""

    contract: Annotated[
        Contract,
        _help("who signs: Stripe's webhooks, EPay's notices (易支付), or JSON under an HMAC, as QRIS acquirers do"),
    ]
    secret_env: Annotated[str, _help("environment variable that holds the secret under which callbacks are signed")]
    secret_before_env: Annotated[
        str, _help("environment variable of the secret before, while the provider changes over; default: none")
    ] = ""
    currencies: Annotated[
        tuple[str, ...],
        _help("what people may pay in; default: CNY with EPay, IDR with signed JSON, all nine with Stripe"),
    ] = ()
    amount_min: Annotated[str, _help("smallest order, as a decimal of its currency; default: none")] = ""
    amount_max: Annotated[str, _help("largest order, as a decimal of its currency; default: none")] = ""
    order_valid_s: Annotated[
        int, Meta(gt=0), _help("an order's amount in USD is kept so long; what is paid later waits for the operator")
    ] = 86_400
    tolerance_s: Annotated[
        int, Meta(gt=0), _help("largest difference between a callback's signed time and our clock")
    ] = 300
    pay_url: Annotated[
        str,
        _help(
            "where payers are sent: `{order_id}`, `{amount}`, `{amount_minor}`, `{currency}` are filled in; with EPay "
            "the address of its `submit.php`, to which the signed order is added"
        ),
    ] = ""
    merchant_id: Annotated[str, _help("EPay's `pid`: notices for another one are refused")] = ""
    notify_url: Annotated[str, _help("EPay: where it shall send its notice, as seen from the internet")] = ""
    return_url: Annotated[str, _help("EPay: where the payer goes afterwards")] = ""
    signature_header: Annotated[str, _help("signed JSON: header with the signature")] = "x-callback-signature"
    timestamp_header: Annotated[
        str, _help("signed JSON: header with a Unix time that is signed too; default: none")
    ] = ""
    signed_text: Annotated[
        str, _help("signed JSON: what is signed, of `{timestamp}` and `{body}`, e.g. `{timestamp}.{body}`")
    ] = "{body}"
    algorithm: Annotated[Literal["sha256", "sha512"], _help("signed JSON: the hash in the HMAC")] = "sha256"
    encoding: Annotated[Literal["hex", "base64"], _help("signed JSON: how the signature is written")] = "hex"
    order_field: Annotated[str, _help("signed JSON: field with our order id; dots lead into objects")] = "merchant_ref"
    payment_field: Annotated[str, _help("signed JSON: field with the provider's id of the payment")] = "reference"
    amount_field: Annotated[str, _help("signed JSON: field with the amount paid")] = "total_amount"
    amount_unit: Annotated[
        Literal["major", "minor"], _help("signed JSON: amounts are decimals of the currency, or its smallest units")
    ] = "major"
    currency_field: Annotated[
        str, _help("signed JSON: field with the currency; default: none, the channel has one currency")
    ] = ""
    status_field: Annotated[str, _help("signed JSON: field that says whether it was paid")] = "status"
    status_paid: Annotated[tuple[str, ...], _help("signed JSON: what it says then")] = ("PAID",)
    answer: Annotated[str, _help("signed JSON: the body that the provider takes for a receipt")] = '{"success":true}'

    def __post_init__(self) -> None:
        """Raises ValueError for settings by which a channel could be fooled."""
        for currency in self.taken:
            if currency not in MINOR_DIGITS:
                raise ValueError(f"currencies: {currency!r} is not one of {', '.join(MINOR_DIGITS)}")
        names_currency = self.contract == "stripe" or (self.contract == "signed-json" and self.currency_field)
        if not names_currency and len(self.taken) != 1:
            raise ValueError("currencies: callbacks of this contract name no currency, so a channel has exactly one")
        if self.contract == "epay" and not self.merchant_id:
            raise ValueError("merchant_id is empty; EPay's notices are for one pid")
        if "{body}" not in self.signed_text:
            raise ValueError("signed_text has no {body}: nothing that is said would be signed")
        if ("{timestamp}" in self.signed_text) != bool(self.timestamp_header):
            raise ValueError("timestamp_header and {timestamp} in signed_text go together: set both or neither")
        for text in (self.amount_min, self.amount_max):
            for currency in self.taken if text else ():
                parse_amount(text, currency)

    @property
    def taken(self) -> tuple[str, ...]:
        """The currencies of the channel."""
        return self.currencies or CURRENCIES[self.contract]
