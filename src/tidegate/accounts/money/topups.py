"""Top-up orders, and what a payment does to them.

An order is made before anybody pays: whom it credits, in which currency how much is to be paid, and how many nano-USD
that is worth, at the rate of that day. A callback can only say that one of these orders was paid. It must name the
order, its amount and its currency to the smallest unit; then the order turns from pending to paid, and its credit is
booked, in one transaction, once.
"""

import secrets
from typing import Final, Literal

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.books.upsert import insert_missing
from tidegate.accounts.database import Database
from tidegate.accounts.money.callbacks import ID_CHARS_MAX, Notice, Payment
from tidegate.accounts.schema.money_in import topup_events as events
from tidegate.accounts.schema.money_in import topup_orders as orders
from tidegate.core.errors import AccountsError
from tidegate.core.fx import Amount, Rate

State = Literal["pending", "paid", "cancelled"]
Outcome = Literal[
    "credited", "repeated", "ignored", "paid_again", "mismatch", "unknown_order", "late", "cancelled", "reused"
]
ACCEPTED: Final[frozenset[Outcome]] = frozenset({"credited", "repeated", "ignored", "paid_again"})
"""Outcomes that the provider is given a receipt for; the others it is told to send again, until somebody looks."""

PENDING_MAX: Final = 100
DETAIL_CHARS_MAX: Final = 500
IGNORED_KEPT_US: Final = 90 * 86_400 * 1_000_000
"""How long callbacks are kept that credited nobody and should not have."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up as it is listed; times in UTC microseconds. `fx_day`, `fx_source`: of the rate; "" for USD."""

    order_id: str
    tenant_id: str
    channel: str
    currency: str
    amount_minor: int
    credit_nano_usd: int
    fx_day: str
    fx_source: str
    state: State
    made_us: int
    expires_us: int
    paid_us: int | None = None
    payment_id: str | None = None

    @property
    def amount(self) -> Amount:
        return Amount(self.currency, self.amount_minor)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a signed callback came to, and how often it has come."""

    channel: str
    event_id: str
    outcome: Outcome
    order_id: str
    payment_id: str
    detail: str
    first_us: int
    last_us: int
    seen_count: int


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be paid, by whom, through which channel, and what it is worth on the day."""

    tenant_id: str
    channel: str
    amount: Amount
    rate: Rate
    valid_s: int


def make_order(database: Database, new: NewOrder, now_us: int) -> Order:
    """Write down an order. Raises AccountsError for nothing, or where the tenant has PENDING_MAX of them open."""
    credit = new.rate.nano_usd(new.amount) if new.amount.minor > 0 else 0
    if credit <= 0:
        raise AccountsError(f"a top-up of {new.amount} {new.amount.currency} is worth nothing; give more than 0")
    order = Order(
        order_id="top" + secrets.token_hex(14),  # 31 letters and digits: EPay's out_trade_no takes no others
        tenant_id=new.tenant_id,
        channel=new.channel,
        currency=new.amount.currency,
        amount_minor=new.amount.minor,
        credit_nano_usd=credit,
        fx_day=new.rate.day,
        fx_source=new.rate.source[:200],
        state="pending",
        made_us=now_us,
        expires_us=now_us + new.valid_s * 1_000_000,
    )
    is_open = (orders.c.tenant_id == new.tenant_id) & (orders.c.state == "pending") & (orders.c.expires_us > now_us)
    with database.writing() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(orders).where(is_open)).scalar_one()
        if count >= PENDING_MAX:
            raise AccountsError(f"tenant {new.tenant_id!r} has {count} unpaid top-ups; pay or cancel some first")
        connection.execute(sa.insert(orders).values(msgspec.structs.asdict(order)))
    return order


def find_order(database: Database, order_id: str) -> Order | None:
    with database.reading() as connection:
        return _order(connection, order_id)


def list_orders(database: Database, tenant_id: str | None = None, *, limit: int = 1000) -> list[Order]:
    """Orders, newest first."""
    query = sa.select(orders).order_by(orders.c.made_us.desc(), orders.c.order_id).limit(limit)
    if tenant_id is not None:
        query = query.where(orders.c.tenant_id == tenant_id)
    with database.reading() as connection:
        return [Order(**row) for row in connection.execute(query).mappings()]


def list_events(database: Database, *, limit: int = 1000, needs_a_look: bool = False) -> list[Event]:
    """Callbacks, newest first. needs_a_look: only those that brought money and credited nobody."""
    query = sa.select(events).order_by(events.c.last_us.desc()).limit(limit)
    if needs_a_look:
        query = query.where(events.c.outcome.not_in(["credited", "repeated", "ignored"]))
    with database.reading() as connection:
        return [Event(**row) for row in connection.execute(query).mappings()]


def cancel_order(database: Database, order_id: str) -> None:
    """Raises AccountsError where the order is not pending."""
    with database.writing() as connection:
        is_pending = (orders.c.order_id == order_id) & (orders.c.state == "pending")
        if connection.execute(sa.update(orders).where(is_pending).values(state="cancelled")).rowcount != 1:
            raise AccountsError(f"no pending top-up has the id {order_id!r}; `tidegate accounts topups list` shows all")


def take(database: Database, channel: str, said: Payment | Notice, now_us: int) -> Outcome:
    """What a genuine callback comes to. Again: no change but a count. All that it changes is changed together."""
    with database.writing() as connection:
        if isinstance(said, Notice):
            _note(connection, (channel, said.event_id, "ignored"), ("", "", said.why), now_us)
            return "ignored"
        outcome, detail = _settle(connection, channel, said, now_us)
        _note(connection, (channel, said.event_id, outcome), (said.order_id, said.payment_id, detail), now_us)
        return outcome


def credit_by_hand(database: Database, order_id: str, payment_id: str, now_us: int) -> Order:
    """The operator's word that an order was paid, also one that is late or cancelled. Raises AccountsError."""
    with database.writing() as connection:
        order = _order(connection, order_id, for_update=True)
        if order is None:
            raise AccountsError(f"no top-up has the id {order_id!r}; `tidegate accounts topups list` shows all")
        if order.state == "paid":
            raise AccountsError(f"top-up {order_id} is paid, by payment {order.payment_id}; an order credits once")
        if (other := _paid_by(connection, order.channel, payment_id)) is not None:
            raise AccountsError(f"payment {payment_id!r} has paid top-up {other}; a payment credits once")
        return _credit(connection, order, payment_id, now_us)


def _settle(connection: sa.Connection, channel: str, said: Payment, now_us: int) -> tuple[Outcome, str]:
    order = _order(connection, said.order_id, for_update=True)
    if order is None or order.channel != channel:
        return "unknown_order", "no order of this id was made for this channel"
    if order.state == "paid":
        if order.payment_id == said.payment_id:
            return "repeated", ""
        return "paid_again", f"the order was paid by {order.payment_id}; this money is not credited, refund it"
    if (other := _paid_by(connection, channel, said.payment_id)) is not None:
        return "reused", f"this payment has paid order {other}"
    if said.amount != order.amount:
        return "mismatch", (
            f"paid {_told(said.amount)}, ordered {_told(order.amount)}: nothing is credited until somebody looks"
        )
    if order.state == "cancelled":
        return "cancelled", "the order was cancelled before it was paid"
    if now_us >= order.expires_us:
        return "late", "the order's rate was kept until it expired; credit it by hand, or refund it"
    _credit(connection, order, said.payment_id, now_us)
    return "credited", f"{order.credit_nano_usd} nano-USD"


def _told(amount: Amount) -> str:
    return f"{amount} {amount.currency}"


def _credit(connection: sa.Connection, order: Order, payment_id: str, now_us: int) -> Order:
    is_unpaid = (orders.c.order_id == order.order_id) & (orders.c.state != "paid")
    paid = {"state": "paid", "paid_us": now_us, "payment_id": payment_id}
    if connection.execute(sa.update(orders).where(is_unpaid).values(paid)).rowcount != 1:
        raise AccountsError(f"top-up {order.order_id} was paid at this moment; nothing was changed")
    post(
        connection,
        credit_posting(
            "top_up",
            order.tenant_id,
            order.credit_nano_usd,
            reference=order.order_id,
            booked_us=now_us,
            memo=f"{_told(order.amount)} by {order.channel}" + (f", rate of {order.fx_day}" if order.fx_day else ""),
        ),
    )
    return msgspec.structs.replace(order, state="paid", paid_us=now_us, payment_id=payment_id)


def _order(connection: sa.Connection, order_id: str, *, for_update: bool = False) -> Order | None:
    query = sa.select(orders).where(orders.c.order_id == order_id)
    row = connection.execute(query.with_for_update() if for_update else query).mappings().one_or_none()
    return None if row is None else Order(**row)


def _paid_by(connection: sa.Connection, channel: str, payment_id: str) -> str | None:
    """The order that this payment has paid."""
    query = sa.select(orders.c.order_id).where(orders.c.channel == channel, orders.c.payment_id == payment_id)
    return connection.execute(query).scalar_one_or_none()


def _note(connection: sa.Connection, key: tuple[str, str, Outcome], told: tuple[str, str, str], now_us: int) -> None:
    """Keep what a callback came to, once; of repeats only the time and the number."""
    channel, event_id, outcome = key[0], _plain(key[1], ID_CHARS_MAX), key[2]
    order_id, payment_id, detail = told
    row = {
        "channel": channel,
        "event_id": event_id,
        "outcome": outcome,
        "order_id": _plain(order_id, 64),
        "payment_id": _plain(payment_id, ID_CHARS_MAX),
        "detail": _plain(detail, DETAIL_CHARS_MAX),
        "first_us": now_us,
        "last_us": now_us,
        "seen_count": 0,
    }
    insert_missing(connection, events, [row])
    if outcome == "ignored":
        is_old = (events.c.outcome == "ignored") & (events.c.last_us < now_us - IGNORED_KEPT_US)
        connection.execute(sa.delete(events).where(is_old))
    same = (events.c.channel == channel) & (events.c.event_id == event_id) & (events.c.outcome == outcome)
    connection.execute(sa.update(events).where(same).values(last_us=now_us, seen_count=events.c.seen_count + 1))


def _plain(text: str, chars_max: int) -> str:
    """Text of a callback as a database and a terminal may have it."""
    return "".join(c if c.isprintable() else "?" for c in text[:chars_max])
