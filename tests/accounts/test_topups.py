"""Top-ups: only an order of ours can be paid, exactly, and it credits once whatever comes how often."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.accounts.books.wallets import wallet_of
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.money import topups
from tidegate.accounts.money.callbacks import Notice, Payment
from tidegate.accounts.money.channels import Channel, channels_of
from tidegate.accounts.money.fx import fx_table
from tidegate.accounts.money.topups import ACCEPTED, NewOrder, Order
from tidegate.config import load_config
from tidegate.core.errors import AccountsError, ConfigError
from tidegate.core.fx import Amount, parse_amount
from tidegate.core.topup_settings import TopupConfig

NOW_US = 1_795_000_000_000_000
YUAN = parse_amount("70", "CNY")
YUAN_NANO_USD = 10_521_755_510  # 70 / 7.4326 x 1.1172 USD


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    is_postgres = getattr(request, "param", "sqlite") == "postgres"
    held = open_database(
        request.getfixturevalue("postgres").copy() if is_postgres else request.getfixturevalue("empty_accounts")
    )
    yield held
    held.close()


def order(database: Database, amount: Amount = YUAN, tenant_id: str = "acme", channel: str = "epay") -> Order:
    rate = fx_table().rate(amount.currency, "2026-11-22")
    new = NewOrder(tenant_id=tenant_id, channel=channel, amount=amount, rate=rate, valid_s=3600)
    return topups.make_order(database, new, NOW_US)


def payment(made: Order, payment_id: str = "pay-1", *, amount: Amount | None = None) -> Payment:
    return Payment(
        event_id=f"event-of-{payment_id}",
        payment_id=payment_id,
        order_id=made.order_id,
        amount=made.amount if amount is None else amount,
    )


def balance(database: Database, tenant_id: str = "acme") -> int:
    with database.reading() as connection:
        return wallet_of(connection, tenant_id).balance_nano_usd


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_payment_credits_the_order_at_the_rate_of_its_day(database: Database) -> None:
    """70 CNY through the European Central Bank's rates of 2026-10-30, named in the order."""
    made = order(database)
    assert (made.credit_nano_usd, made.fx_day, made.state) == (YUAN_NANO_USD, "2026-10-30", "pending")
    assert topups.take(database, "epay", payment(made), NOW_US) == "credited"
    found = topups.find_order(database, made.order_id)
    assert found is not None and (found.state, found.payment_id) == ("paid", "pay-1")
    assert balance(database) == YUAN_NANO_USD


def test_a_payment_that_is_told_again_credits_nothing_more(database: Database) -> None:
    """Providers repeat a callback for days; each repeat is a receipt and a count."""
    made = order(database)
    told = [topups.take(database, "epay", payment(made), NOW_US + n) for n in range(5)]
    assert told == ["credited"] + ["repeated"] * 4
    assert balance(database) == YUAN_NANO_USD
    counts = {event.outcome: event.seen_count for event in topups.list_events(database)}
    assert counts == {"credited": 1, "repeated": 4}


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_callbacks_that_come_at_one_moment_credit_once(database: Database) -> None:
    """Eight threads on one file, as two hosts behind one address would be."""
    made = order(database)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda n: topups.take(database, "epay", payment(made), NOW_US + n), range(16)))
    assert sorted(told) == ["credited"] + ["repeated"] * 15
    assert balance(database) == YUAN_NANO_USD


def test_a_crash_between_the_mark_and_the_booking_leaves_neither(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider sends again, and then it credits: an order is paid if and only if its wallet says so."""
    made = order(database)

    def fail(*_: object) -> None:
        raise OSError("the process ends here")

    with monkeypatch.context() as broken:
        broken.setattr(topups, "post", fail)
        with pytest.raises(OSError, match="ends here"):
            topups.take(database, "epay", payment(made), NOW_US)
    found = topups.find_order(database, made.order_id)
    assert found is not None and (found.state, balance(database), topups.list_events(database)) == ("pending", 0, [])
    assert topups.take(database, "epay", payment(made), NOW_US) == "credited"
    assert balance(database) == YUAN_NANO_USD


@pytest.mark.parametrize(
    "amount",
    [Amount("CNY", 6999), Amount("CNY", 7001), Amount("CNY", 700_000), Amount("USD", 7000), Amount("IDR", 7000)],
)
def test_another_amount_or_currency_credits_nobody(database: Database, amount: Amount) -> None:
    """A payer who pays one yuan for an order of seventy; and rupiah that would pass for dollars."""
    made = order(database)
    outcome = topups.take(database, "epay", payment(made, amount=amount), NOW_US)
    assert outcome == "mismatch" and outcome not in ACCEPTED
    assert balance(database) == 0
    (event,) = topups.list_events(database, needs_a_look=True)
    assert "ordered 70.00 CNY" in event.detail
    assert topups.take(database, "epay", payment(made), NOW_US) == "credited"  # the true one still counts


def test_an_order_that_we_never_made_credits_nobody(database: Database) -> None:
    """A callback cannot invent an order, nor name one of another channel."""
    made = order(database, channel="stripe")
    forged = Payment(event_id="e", payment_id="p", order_id="top_of_my_own", amount=YUAN)
    assert topups.take(database, "epay", forged, NOW_US) == "unknown_order"
    assert topups.take(database, "epay", payment(made), NOW_US) == "unknown_order"
    assert balance(database) == 0


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_one_payment_pays_one_order(database: Database) -> None:
    """Its id used for a second order of the same amount is somebody's trick, or the provider's fault."""
    first, second = order(database), order(database, tenant_id="rival")
    assert topups.take(database, "epay", payment(first), NOW_US) == "credited"
    assert topups.take(database, "epay", payment(second), NOW_US) == "reused"
    assert (balance(database), balance(database, "rival")) == (YUAN_NANO_USD, 0)


def test_an_order_that_is_paid_twice_waits_for_the_operator(database: Database) -> None:
    """The money has come, so the provider gets its receipt; crediting it is a person's decision, or its refund."""
    made = order(database)
    told = [topups.take(database, "epay", payment(made, name), NOW_US) for name in ("pay-1", "pay-2", "pay-2")]
    assert told == ["credited", "paid_again", "paid_again"] and "paid_again" in ACCEPTED
    (event,) = topups.list_events(database, needs_a_look=True)
    assert (event.payment_id, event.seen_count, balance(database)) == ("pay-2", 2, YUAN_NANO_USD)


def test_what_is_paid_late_waits_for_the_operator(database: Database) -> None:
    """An order keeps its rate for an hour: who pays when the rate has moved has no claim to the old one."""
    made = order(database)
    assert topups.take(database, "epay", payment(made), made.expires_us) == "late"
    assert balance(database) == 0
    assert topups.credit_by_hand(database, made.order_id, "pay-1", made.expires_us).state == "paid"
    assert topups.take(database, "epay", payment(made), made.expires_us + 1) == "repeated"
    assert balance(database) == YUAN_NANO_USD


def test_a_cancelled_order_is_not_paid_by_itself(database: Database) -> None:
    made = order(database)
    topups.cancel_order(database, made.order_id)
    assert topups.take(database, "epay", payment(made), NOW_US) == "cancelled"
    with pytest.raises(AccountsError, match="no pending top-up"):
        topups.cancel_order(database, made.order_id)


def test_the_operators_word_credits_once_too(database: Database) -> None:
    first, second = order(database), order(database)
    topups.credit_by_hand(database, first.order_id, "bank-7", NOW_US)
    with pytest.raises(AccountsError, match="an order credits once"):
        topups.credit_by_hand(database, first.order_id, "bank-8", NOW_US)
    with pytest.raises(AccountsError, match="a payment credits once"):
        topups.credit_by_hand(database, second.order_id, "bank-7", NOW_US)
    assert balance(database) == YUAN_NANO_USD


def test_notices_leave_a_trace_and_no_money(database: Database) -> None:
    assert topups.take(database, "epay", Notice(event_id="e", why="trade_status 'WAIT'"), NOW_US) == "ignored"
    (event,) = topups.list_events(database)
    assert (event.outcome, event.detail) == ("ignored", "trade_status 'WAIT'")


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_what_a_callback_names_is_kept_as_text_that_a_database_takes(database: Database) -> None:
    """PostgreSQL has no NUL in its text, and a terminal should not be told to clear itself."""
    assert topups.take(database, "epay", Notice(event_id="e\0\x1b[2J", why="state '\0'"), NOW_US) == "ignored"
    (event,) = topups.list_events(database)
    assert (event.event_id, event.detail) == ("e??[2J", "state '?'")


def test_callbacks_that_mean_nothing_are_forgotten_in_time(database: Database) -> None:
    """A provider tells of every customer it has; what should have credited somebody stays."""
    topups.take(database, "epay", Notice(event_id="old", why="another event"), NOW_US)
    topups.take(database, "epay", Payment(event_id="lost", payment_id="p", order_id="none", amount=YUAN), NOW_US)
    topups.take(database, "epay", Notice(event_id="new", why="another event"), NOW_US + topups.IGNORED_KEPT_US + 1)
    assert {event.event_id for event in topups.list_events(database)} == {"lost", "new"}


def test_orders_of_nothing_and_heaps_of_orders_are_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccountsError, match="worth nothing"):
        order(database, Amount("CNY", 0))
    monkeypatch.setattr(topups, "PENDING_MAX", 3)
    for _ in range(topups.PENDING_MAX):
        order(database)
    with pytest.raises(AccountsError, match="unpaid top-ups"):
        order(database)
    assert order(database, tenant_id="other").state == "pending"
    assert len(topups.list_orders(database, "acme")) == topups.PENDING_MAX


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([7000, 7001])), max_size=8))
def test_any_callbacks_in_any_order_credit_each_order_at_most_once(
    database: Database, told: list[tuple[int, int, int]]
) -> None:
    """Three orders, four payments, right and wrong amounts, all repeats: the wallet is the sum of the paid orders."""
    before = balance(database)
    made = [order(database, tenant_id="acme") for _ in range(3)]
    tag = made[0].order_id  # payments of this example only
    for which, number, minor in told:
        topups.take(database, "epay", payment(made[which], f"{tag}-{number}", amount=Amount("CNY", minor)), NOW_US)
    after = [topups.find_order(database, one.order_id) for one in made]
    paid = [one for one in after if one is not None and one.state == "paid"]
    assert balance(database) - before == len(paid) * YUAN_NANO_USD
    assert len({one.payment_id for one in paid}) == len(paid)
    for one in after:
        if one is not None and one.state == "pending":
            topups.cancel_order(database, one.order_id)


# -- channels ---------------------------------------------------------------------------------------------------------


def channel(**fields: object) -> Channel:
    config = TopupConfig(**{"contract": "epay", "secret_env": "KEY", "merchant_id": "1001"} | fields)  # type: ignore[arg-type]
    return Channel("cn", config, {"KEY": "k"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"currencies": ("CNY", "USD")}, "exactly one"),
        ({"currencies": ("XAU",)}, "'XAU' is not one of"),
        ({"merchant_id": ""}, "merchant_id is empty"),
        ({"contract": "signed-json", "signed_text": "hello"}, "nothing that is said would be signed"),
        ({"contract": "signed-json", "signed_text": "{timestamp}{body}"}, "go together"),
        ({"amount_min": "0.001"}, "more than 2 decimal places"),
    ],
)
def test_a_channel_that_could_be_fooled_is_refused_at_start(
    tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    """By whatever reads the configuration, not by the first callback."""
    with pytest.raises(ValueError, match=words):
        channel(**fields)
    lines = {"contract": "epay", "secret_env": "KEY", "merchant_id": "1001"} | fields
    file = tmp_path / "tidegate.toml"
    told = "".join(
        f"{name} = {json.dumps(list(value) if isinstance(value, tuple) else value)}\n" for name, value in lines.items()
    )
    file.write_text(f"[topups.cn]\n{told}")
    with pytest.raises(ConfigError, match=words):
        load_config(files=[file], environ={})


def test_a_channel_without_its_secret_reads_nothing() -> None:
    """An empty secret would be everybody's: HMAC takes it."""
    config = TopupConfig(contract="stripe", secret_env="NOT_SET")
    held = channels_of({"cards": config}, {"NOT_SET": "  "})["cards"]
    assert not held.is_ready and "NOT_SET" not in repr(held)


def test_a_channel_takes_its_currencies_between_its_bounds() -> None:
    held = channel(amount_min="10", amount_max="500")
    assert held.amount_of("10.00", "CNY") == Amount("CNY", 1000)
    for text, currency in (("9.99", "CNY"), ("500.01", "CNY"), ("50", "USD"), ("ten", "CNY"), ("-20", "CNY")):
        with pytest.raises(AccountsError):
            held.amount_of(text, currency)


def test_a_payment_page_gets_the_order_in_its_address(database: Database) -> None:
    """Stripe's payment links carry `client_reference_id`; the page's amount must be the order's, or nobody is paid."""
    made = order(database)
    config = TopupConfig(
        contract="stripe", secret_env="KEY", pay_url="https://pay.example/x?client_reference_id={order_id}&a={amount}"
    )
    url = Channel("cards", config, {"KEY": "k"}).pay_url(made)
    assert url == f"https://pay.example/x?client_reference_id={made.order_id}&a=70.00"
