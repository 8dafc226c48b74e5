"""EPay (易支付, the protocol of 彩虹易支付 and its kin): signed notices, and the signed address of a payment.

sign = md5("a=1&b=2" + key), lower-case hex: every parameter but `sign`, `sign_type` and empty ones, in ASCII order of
their names, values undone from URL encoding. A notice comes as GET or as a POST form and wants `success` for an answer;
anything else makes the provider send it again. MD5 is the contract's; the key at the end of the text, not at its
beginning, keeps length extension out.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode

from tidegate.accounts.money.callbacks import (
    Callback,
    CallbackMalformed,
    CallbackUnsigned,
    Notice,
    Payment,
    checked_id,
    is_signed,
)
from tidegate.core.fx import Amount, parse_amount
from tidegate.core.money import InvalidMoney

ANSWER: Final = b"success"
REFUSAL: Final = b"fail"
PARAMETERS_MAX: Final = 50
PAID: Final = "TRADE_SUCCESS"
_NOT_SIGNED: Final = ("sign", "sign_type")


def read(callback: Callback, keys: Sequence[bytes], merchant_id: str, currency: str) -> Payment | Notice:
    """What a notice says. currency: the channel's; notices name none.

    Raises CallbackUnsigned, also for another merchant's notice, and CallbackMalformed.
    """
    parameters = _parameters(callback.body if callback.method == "POST" and callback.body else callback.query)
    if parameters.get("sign_type", "MD5").upper() != "MD5":
        raise CallbackUnsigned(f"sign_type {parameters['sign_type'][:16]!r}; only MD5 is part of this contract")
    if not is_signed(parameters.get("sign", "").lower(), [sign(parameters, key) for key in keys]):
        raise CallbackUnsigned("the parameter sign does not fit the others and the merchant's key")
    if parameters.get("pid") != merchant_id:
        raise CallbackUnsigned("the notice is for another pid than this channel's merchant_id")
    payment_id = checked_id(parameters.get("trade_no"), "trade_no")
    status = parameters.get("trade_status", "")
    if status != PAID:
        return Notice(event_id=payment_id, why=f"trade_status {status[:40]!r}")
    try:
        amount = parse_amount(parameters.get("money", ""), currency)
    except InvalidMoney as error:
        raise CallbackMalformed(f"money: {error}") from error
    order_id = checked_id(parameters.get("out_trade_no"), "out_trade_no")
    return Payment(event_id=payment_id, payment_id=payment_id, order_id=order_id, amount=amount)


def sign(parameters: Mapping[str, str], key: bytes) -> str:
    """The signature of parameters; `sign` and `sign_type` may be among them."""
    counted = sorted((name, value) for name, value in parameters.items() if value and name not in _NOT_SIGNED)
    text = "&".join(f"{name}={value}" for name, value in counted)
    return hashlib.md5(text.encode() + key, usedforsecurity=False).hexdigest()


def pay_url(submit_url: str, fields: Mapping[str, str], amount: Amount, key: bytes) -> str:
    """Where a payer is sent. fields: `pid`, `out_trade_no`, `notify_url`, `return_url`; empty ones are left out."""
    parameters = {name: value for name, value in {**fields, "money": str(amount)}.items() if value}
    signed = {**parameters, "sign": sign(parameters, key), "sign_type": "MD5"}
    return f"{submit_url}{'&' if '?' in submit_url else '?'}{urlencode(signed)}"


def _parameters(text: bytes) -> dict[str, str]:
    """Each parameter once. Raises CallbackMalformed where one stands twice: which of them was signed?"""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except ValueError as error:
        raise CallbackMalformed(f"the notice is no form of at most {PARAMETERS_MAX} parameters in UTF-8") from error
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CallbackMalformed("a parameter stands twice in the notice")
    return found
