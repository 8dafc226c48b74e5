"""Signed callbacks of payment providers, by their published contracts; each proof worked out here a second time."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.accounts.money import epay, signed_json, stripe
from tidegate.accounts.money.callbacks import Callback, CallbackMalformed, CallbackUnsigned, Notice, Payment
from tidegate.core.fx import Amount
from tidegate.core.topup_settings import TopupConfig

NOW_S = 1_795_000_000
SECRET = b"whsec_test_secret"
KEY = b"merchant-key-of-epay"
PRIVATE_KEY = b"private-key-of-the-acquirer"
QRIS = TopupConfig(contract="signed-json", secret_env="X")


# -- Stripe -----------------------------------------------------------------------------------------------------------

SESSION: dict[str, Any] = {
    "id": "evt_1PVwcn",
    "object": "event",
    "type": "checkout.session.completed",
    "data": {
        "object": {
            "id": "cs_test_a1",
            "object": "checkout.session",
            "amount_total": 1000,
            "currency": "usd",
            "client_reference_id": "top_1",
            "metadata": {},
            "payment_intent": "pi_1",
            "payment_status": "paid",
        }
    },
}


def stripe_says(
    event: Any, *, secret: bytes = SECRET, at_s: int = NOW_S, header: str | None = None
) -> Payment | Notice:
    """The event as Stripe sends it: signed by hand, not by our own function."""
    body = json.dumps(event, indent=2).encode()  # Stripe's bodies are indented: the raw bytes count
    proof = hmac.new(secret, f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"stripe-signature": f"t={at_s},v1={proof},v0=ignored" if header is None else header}
    callback = Callback(method="POST", query=b"", headers=headers, body=body)
    return stripe.read(callback, [SECRET], 300, NOW_S)


def with_object(**changes: Any) -> dict[str, Any]:
    return {**SESSION, "data": {"object": {**SESSION["data"]["object"], **changes}}}


def test_a_paid_checkout_session_is_a_payment() -> None:
    """1,000 cents for our order, under the payment intent's id."""
    assert stripe_says(SESSION) == Payment(
        event_id="evt_1PVwcn", payment_id="pi_1", order_id="top_1", amount=Amount("USD", 1000)
    )


def test_stripes_own_example_of_a_signature_is_understood() -> None:
    """Our signing function writes the header that our reader takes, and the one worked out by hand."""
    body = b'{"id":"evt"}'
    by_hand = hmac.new(SECRET, b"1795000000." + body, hashlib.sha256).hexdigest()
    assert stripe.signature_header(body, SECRET, NOW_S) == f"t=1795000000,v1={by_hand}"


def test_the_order_may_stand_in_the_metadata_of_a_payment_intent() -> None:
    """Whoever does not use Checkout names the order there; both events of one payment bear one payment id."""
    intent = {"id": "pi_1", "amount_received": 1000, "currency": "usd", "metadata": {"tidegate_order": "top_1"}}
    event = {"id": "evt_2", "type": "payment_intent.succeeded", "data": {"object": intent}}
    found = stripe_says(event)
    assert isinstance(found, Payment) and (found.payment_id, found.order_id) == ("pi_1", "top_1")


@pytest.mark.parametrize(
    "event",
    [
        with_object(payment_status="unpaid"),
        {**SESSION, "type": "customer.created"},
        {**SESSION, "type": "charge.refunded"},
        with_object(client_reference_id=None),
    ],
)
def test_what_is_not_paid_or_not_ours_credits_nobody(event: dict[str, Any]) -> None:
    """A session of a bank transfer is complete before it is paid; another shop's is none of our business."""
    assert isinstance(stripe_says(event), Notice)


def test_a_bank_transfer_counts_when_it_has_come() -> None:
    assert isinstance(stripe_says({**SESSION, "type": "checkout.session.async_payment_succeeded"}), Payment)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "missing"),
        ("t=1795000000", "missing"),
        ("v1=" + "0" * 64, "missing"),
        ("t=1795000000,v1=" + "0" * 64, "no v1 signature"),
        ("t=x,v1=" + "0" * 64, "missing"),
        ("t=1795000000,t=1795000001,v1=" + "0" * 64, "missing"),
        ("t=1795000000,v1=é", "no v1 signature"),
    ],
)
def test_a_webhook_without_a_proof_is_not_read(header: str, words: str) -> None:
    with pytest.raises(CallbackUnsigned, match=words):
        stripe_says(SESSION, header=header)


@pytest.mark.parametrize("at_s", [NOW_S - 301, NOW_S + 301])
def test_an_old_webhook_is_a_replay(at_s: int) -> None:
    """Also one from the future: clocks differ by seconds, not by minutes."""
    with pytest.raises(CallbackUnsigned, match="a replay"):
        stripe_says(SESSION, at_s=at_s)


@pytest.mark.parametrize("at_s", [NOW_S - 300, NOW_S + 300])
def test_a_webhook_within_the_tolerance_is_read(at_s: int) -> None:
    assert isinstance(stripe_says(SESSION, at_s=at_s), Payment)


def test_another_endpoints_secret_proves_nothing() -> None:
    with pytest.raises(CallbackUnsigned):
        stripe_says(SESSION, secret=b"whsec_of_somebody_else")


@given(st.integers(0, 400), st.integers(0, 255))
def test_no_byte_of_a_signed_body_can_be_changed(place: int, value: int) -> None:
    """Whatever byte is put wherever: either it was there before, or the proof fails."""
    body = json.dumps(SESSION).encode()
    place %= len(body)
    headers = {"stripe-signature": stripe.signature_header(body, SECRET, NOW_S)}
    changed = body[:place] + bytes([value]) + body[place + 1 :]
    callback = Callback(method="POST", query=b"", headers=headers, body=changed)
    if changed == body:
        assert isinstance(stripe.read(callback, [SECRET], 300, NOW_S), Payment)
    else:
        with pytest.raises(CallbackUnsigned):
            stripe.read(callback, [SECRET], 300, NOW_S)


@pytest.mark.parametrize(
    "event",
    [
        with_object(amount_total="1000"),
        with_object(amount_total=True),
        with_object(amount_total=10.5),
        with_object(currency="xau"),
        with_object(client_reference_id={"a": 1}),
        {"id": "evt", "type": "checkout.session.completed"},
        {"type": "checkout.session.completed"},
        [1],
    ],
)
def test_a_signed_event_without_what_it_promises_is_malformed(event: Any) -> None:
    with pytest.raises(CallbackMalformed):
        stripe_says(event)


def test_the_secret_before_is_taken_while_the_provider_changes_over() -> None:
    body = json.dumps(SESSION).encode()
    headers = {"stripe-signature": stripe.signature_header(body, b"old", NOW_S)}
    callback = Callback(method="POST", query=b"", headers=headers, body=body)
    assert isinstance(stripe.read(callback, [SECRET, b"old"], 300, NOW_S), Payment)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ["id", "amount_total", "currency", "client_reference_id", "metadata", "payment_intent", "payment_status"], JSON
    ),
)


@given(st.fixed_dictionaries({}, optional={"id": JSON, "type": JSON, "data": JSON}), FIELDS)
def test_whatever_stripes_key_signs_is_read_or_refused_by_name(event: dict[str, Any], changes: dict[str, Any]) -> None:
    """A new version of their API may say anything: never a fault of ours."""
    for said in (event, {**SESSION, **event}, with_object(**changes), {**with_object(**changes), **event}):
        try:
            assert isinstance(stripe_says(said), Payment | Notice)
        except CallbackMalformed:
            pass


@given(
    st.binary(max_size=200), st.dictionaries(st.sampled_from(["stripe-signature", "x-callback-signature"]), st.text())
)
def test_whatever_a_stranger_sends_is_not_read(body: bytes, headers: dict[str, str]) -> None:
    """All three contracts, any bytes, any header, as query or body: refused, and nothing else."""
    for method in ("GET", "POST"):
        callback = Callback(method=method, query=body, headers=headers, body=body)
        with pytest.raises(CallbackUnsigned):
            stripe.read(callback, [SECRET], 300, NOW_S)
        with pytest.raises(CallbackUnsigned):
            signed_json.read(callback, QRIS, [PRIVATE_KEY], "IDR", NOW_S)
        with pytest.raises((CallbackUnsigned, CallbackMalformed)):
            epay.read(callback, [KEY], "1001", "CNY")


# -- EPay -------------------------------------------------------------------------------------------------------------

NOTICE = {
    "pid": "1001",
    "trade_no": "20160806151343349021",
    "out_trade_no": "top_1",
    "type": "alipay",
    "name": "充值 100",
    "money": "70.00",
    "trade_status": "TRADE_SUCCESS",
    "param": "",
}


def epay_sign(parameters: dict[str, str]) -> str:
    """The contract, spelled out for these very parameters: names in ASCII order, empty ones and `sign*` left out."""
    text = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters) if parameters[name])
    return hashlib.md5(text.encode() + KEY, usedforsecurity=False).hexdigest()


def epay_says(parameters: dict[str, str], *, method: str = "GET", extra: str = "") -> Payment | Notice:
    signed = {**parameters, "sign": epay_sign(parameters), "sign_type": "MD5"}
    text = (urlencode(signed) + extra).encode()
    callback = Callback(
        method=method, query=text if method == "GET" else b"", headers={}, body=text if method == "POST" else b""
    )
    return epay.read(callback, [KEY], "1001", "CNY")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_epay_notice_is_a_payment(method: str) -> None:
    """70 yuan, with a Chinese name among the signed parameters, as query or as form."""
    assert epay_says(NOTICE, method=method) == Payment(
        event_id="20160806151343349021",
        payment_id="20160806151343349021",
        order_id="top_1",
        amount=Amount("CNY", 7000),
    )


def test_a_post_without_a_body_has_its_parameters_in_the_address() -> None:
    """Some kin of EPay do so; where there is a body, only the body counts."""
    query = urlencode({**NOTICE, "sign": epay_sign(NOTICE), "sign_type": "MD5"}).encode()
    told = epay.read(Callback(method="POST", query=query, headers={}, body=b""), [KEY], "1001", "CNY")
    assert isinstance(told, Payment)
    with pytest.raises(CallbackUnsigned):
        epay.read(Callback(method="POST", query=query, headers={}, body=b"money=1"), [KEY], "1001", "CNY")


def test_the_signed_text_of_epay_is_the_documented_one() -> None:
    """Written out by hand once: sorted, no empty `param`, no `sign`, no `sign_type`, the key at the end."""
    text = (
        "money=70.00&name=充值 100&out_trade_no=top_1&pid=1001&trade_no=20160806151343349021"
        "&trade_status=TRADE_SUCCESS&type=alipay" + KEY.decode()
    )
    expected = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    assert epay.sign({**NOTICE, "sign": "x", "sign_type": "MD5"}, KEY) == expected


@pytest.mark.parametrize("change", [{"money": "7000.00"}, {"out_trade_no": "top_2"}, {"pid": "1002"}, {"extra": "1"}])
def test_a_changed_epay_notice_is_not_read(change: dict[str, str]) -> None:
    signed = {**NOTICE, "sign": epay_sign(NOTICE), **change}
    callback = Callback(method="GET", query=urlencode(signed).encode(), headers={}, body=b"")
    with pytest.raises(CallbackUnsigned):
        epay.read(callback, [KEY], "1001", "CNY")


def test_a_parameter_that_stands_twice_is_refused() -> None:
    """Which of the two was signed is what an attacker would like us to guess."""
    with pytest.raises(CallbackMalformed, match="twice"):
        epay_says(NOTICE, extra="&money=7000.00")


def test_another_merchants_notice_is_refused() -> None:
    """One EPay site, one key shared by mistake: the pid still tells them apart."""
    with pytest.raises(CallbackUnsigned, match="another pid"):
        epay_says({**NOTICE, "pid": "1002"})


def test_an_epay_trade_that_is_not_a_success_credits_nobody() -> None:
    assert isinstance(epay_says({**NOTICE, "trade_status": "WAIT_BUYER_PAY"}), Notice)


@pytest.mark.parametrize("money", ["", "seventy", "70.001", "1e400"])
def test_money_that_is_no_amount_is_malformed(money: str) -> None:
    with pytest.raises(CallbackMalformed, match="money"):
        epay_says({**NOTICE, "money": money})


@pytest.mark.parametrize("query", [b"", b"sign=", b"a=%ff&sign=x", b"&".join(b"a%d=1" % n for n in range(99))])
def test_what_is_no_notice_is_refused(query: bytes) -> None:
    callback = Callback(method="GET", query=query, headers={}, body=b"")
    with pytest.raises((CallbackUnsigned, CallbackMalformed)):
        epay.read(callback, [KEY], "1001", "CNY")


def test_a_payer_is_sent_to_a_signed_address() -> None:
    """What EPay's submit.php verifies: the same rule over the parameters of the order."""
    fields = {"pid": "1001", "out_trade_no": "top_1", "notify_url": "https://gw.example/topups/epay", "return_url": ""}
    url = urlsplit(epay.pay_url("https://pay.example/submit.php", fields, Amount("CNY", 7000), KEY))
    sent = dict(parse_qsl(url.query, keep_blank_values=True))
    sign, kind = sent.pop("sign"), sent.pop("sign_type")
    assert (sent["money"], kind, sign, "return_url" in sent) == ("70.00", "MD5", epay_sign(sent), False)
    assert quote("https://gw.example/topups/epay", safe="") in url.query


# -- signed JSON: QRIS ------------------------------------------------------------------------------------------------

TRIPAY: dict[str, Any] = {
    "reference": "T42682308965NYPLN",
    "merchant_ref": "top_1",
    "payment_method": "QRIS",
    "payment_method_code": "QRIS2",
    "total_amount": 192080,
    "fee_merchant": 2095,
    "fee_customer": 0,
    "total_fee": 2095,
    "amount_received": 189985,
    "is_closed_payment": 1,
    "status": "PAID",
    "paid_at": 1763256923,
    "note": None,
}


def qris_says(body: Any, channel: TopupConfig = QRIS, headers: dict[str, str] | None = None) -> Payment | Notice:
    raw = json.dumps(body).encode()
    proof = hmac.new(PRIVATE_KEY, raw, hashlib.sha256).hexdigest()
    sent = {"x-callback-signature": proof, "x-callback-event": "payment_status"} if headers is None else headers
    callback = Callback(method="POST", query=b"", headers=sent, body=raw)
    return signed_json.read(callback, channel, [PRIVATE_KEY], "IDR", NOW_S)


def test_a_qris_callback_is_a_payment() -> None:
    """Tripay's: 192,080 rupiah, which have two decimals that nobody writes."""
    assert qris_says(TRIPAY) == Payment(
        event_id="T42682308965NYPLN/PAID",
        payment_id="T42682308965NYPLN",
        order_id="top_1",
        amount=Amount("IDR", 19_208_000),
    )


@pytest.mark.parametrize("status", ["EXPIRED", "FAILED", "REFUND", "paid", None])
def test_a_qris_callback_that_does_not_say_paid_credits_nobody(status: str | None) -> None:
    assert isinstance(qris_says({**TRIPAY, "status": status}), Notice)


@pytest.mark.parametrize("headers", [{}, {"x-callback-signature": ""}, {"x-callback-signature": "0" * 64}])
def test_a_qris_callback_without_a_proof_is_not_read(headers: dict[str, str]) -> None:
    with pytest.raises(CallbackUnsigned):
        qris_says(TRIPAY, headers=headers)


@pytest.mark.parametrize("amount", [192080.5, "192080.50", 192080.50])
def test_amounts_with_a_point_are_read_digit_by_digit(amount: object) -> None:
    """JSON numbers never pass through a float."""
    found = qris_says({**TRIPAY, "total_amount": amount})
    assert isinstance(found, Payment) and found.amount == Amount("IDR", 19_208_050)


@pytest.mark.parametrize("amount", [None, True, [], "", "1.005", "NaN"])
def test_an_amount_that_is_none_is_malformed(amount: object) -> None:
    with pytest.raises(CallbackMalformed, match="total_amount"):
        qris_says({**TRIPAY, "total_amount": amount})


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["reference", "merchant_ref", "total_amount", "status"], JSON)))
def test_whatever_an_acquirers_key_signs_is_read_or_refused_by_name(changes: dict[str, Any]) -> None:
    try:
        assert isinstance(qris_says({**TRIPAY, **changes}), Payment | Notice)
    except CallbackMalformed:
        pass


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
def test_whatever_an_epay_key_signs_is_read_or_refused_by_name(changes: dict[str, str]) -> None:
    told = {name: value for name, value in changes.items() if name and not name.startswith("sign")}
    try:
        assert isinstance(epay_says({**NOTICE, **told}), Payment | Notice)
    except CallbackMalformed:
        pass


def test_every_name_in_the_callback_is_a_setting() -> None:
    """Another acquirer: SHA-512 in base64 over `time.body`, nested fields, minor units, the currency named."""
    channel = TopupConfig(
        contract="signed-json",
        secret_env="X",
        signature_header="X-Signature",
        timestamp_header="X-Timestamp",
        signed_text="{timestamp}.{body}",
        algorithm="sha512",
        encoding="base64",
        order_field="data.partnerReferenceNo",
        payment_field="data.transactionId",
        amount_field="data.amount",
        amount_unit="minor",
        currency_field="data.currency",
        status_field="data.status",
        status_paid=("SUCCESS", "PAID"),
    )
    data = {"transactionId": 77, "partnerReferenceNo": "top_9", "status": "SUCCESS", "amount": "25000000"}
    raw = json.dumps({"data": {**data, "currency": "idr"}}).encode()

    def sent(at_s: int) -> Payment | Notice:
        proof = base64.b64encode(hmac.new(PRIVATE_KEY, b"%d." % at_s + raw, hashlib.sha512).digest()).decode()
        headers = {"x-signature": proof, "x-timestamp": str(at_s)}
        callback = Callback(method="POST", query=b"", headers=headers, body=raw)
        return signed_json.read(callback, channel, [PRIVATE_KEY], "", NOW_S)

    assert sent(NOW_S) == Payment(
        event_id="77/SUCCESS", payment_id="77", order_id="top_9", amount=Amount("IDR", 25_000_000)
    )
    with pytest.raises(CallbackUnsigned, match="a replay"):
        sent(NOW_S - 301)
