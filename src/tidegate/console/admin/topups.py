"""Top-ups: orders of tenants, and what the callbacks of payment providers came to."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidegate.accounts.books.posting import day_of
from tidegate.accounts.errors import AccountNotFound
from tidegate.accounts.money.fx import read_fx
from tidegate.accounts.money.topups import (
    Event,
    NewOrder,
    Order,
    cancel_order,
    credit_by_hand,
    find_order,
    list_events,
    list_orders,
    make_order,
)
from tidegate.accounts.tenancy import find_tenant, now_us
from tidegate.console.admin import ROOT, TENANT
from tidegate.console.operations import Asked, Operation
from tidegate.core.fx import MINOR_DIGITS, parse_amount
from tidegate.core.money import format_usd


class OrderWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to pay, through a channel of `[topups.NAME]`. `amount`: exact, as text, of `currency`."""

    channel: str
    amount: str
    currency: str = "USD"


class MadeOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order, and where it is paid: "" where the operator's own page sends the payer."""

    order: Order
    amount: str
    credit_usd: str
    pay_url: str


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of a tenant, newest first."""

    data: list[Order]


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`all`: those too that credited somebody, or could not."""

    all: bool = False
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Signed callbacks, newest first."""

    data: list[Event]


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payment that somebody has seen, by the id that the provider or the bank gives it."""

    payment_id: Annotated[str, Meta(min_length=1, max_length=255)]


class ChannelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A way of paying in. `is_ready`: its secret is set."""

    channel: str
    contract: str
    currencies: tuple[str, ...]
    amount_min: str
    amount_max: str
    is_ready: bool


class Channels(msgspec.Struct, frozen=True, kw_only=True):
    """All ways of paying in, by name."""

    data: list[ChannelFacts]


class FxRate(msgspec.Struct, frozen=True, kw_only=True):
    """What 1,000,000 units of a currency are worth in nano-USD, since which day, and who says so; "" for USD itself."""

    currency: str
    nano_usd_per_million: int
    day: str
    source: str


class FxRates(msgspec.Struct, frozen=True, kw_only=True):
    """The rates in force today."""

    data: list[FxRate]


def _make(asked: Asked) -> MadeOrder:
    wish: OrderWish = asked.body
    channels, database = asked.backend.channels, asked.backend.database
    channel = channels.get(wish.channel)
    if channel is None:
        known = ", ".join(channels) or "none is configured"
        raise AccountNotFound(f"no payment channel {wish.channel[:64]!r} here: {known}")
    find_tenant(database, asked.tenant_id)
    amount = channel.amount_of(wish.amount, wish.currency)
    moment_us = now_us()
    with database.reading() as connection:
        rate = read_fx(connection).rate(amount.currency, day_of(moment_us))
    new = NewOrder(
        tenant_id=asked.tenant_id, channel=channel.name, amount=amount, rate=rate, valid_s=channel.config.order_valid_s
    )
    order = make_order(database, new, moment_us)
    credit_usd = format_usd(order.credit_nano_usd)
    return MadeOrder(order=order, amount=str(amount), credit_usd=credit_usd, pay_url=channel.pay_url(order))


def _channels(asked: Asked) -> Channels:
    return Channels(
        data=[
            ChannelFacts(
                channel=name,
                contract=channel.config.contract,
                currencies=channel.currencies,
                amount_min=channel.config.amount_min,
                amount_max=channel.config.amount_max,
                is_ready=channel.is_ready,
            )
            for name, channel in asked.backend.channels.items()
        ]
    )


def _list(asked: Asked) -> Orders:
    return Orders(data=list_orders(asked.backend.database, asked.tenant_id))


def _find(asked: Asked) -> Order:
    return _own(asked)


def _cancel(asked: Asked) -> Order:
    order = _own(asked)
    cancel_order(asked.backend.database, order.order_id)
    return _own(asked)


def _own(asked: Asked) -> Order:
    """Another tenant's order is not found: that it exists is nobody's news."""
    order = find_order(asked.backend.database, asked.path["order_id"])
    if order is None or order.tenant_id != asked.tenant_id:
        raise AccountNotFound(f"no top-up {asked.path['order_id'][:64]!r} in this tenant")
    return order


def _events(asked: Asked) -> Events:
    query: EventQuery = asked.query
    return Events(data=list_events(asked.backend.database, limit=query.limit, needs_a_look=not query.all))


def _credit(asked: Asked) -> Order:
    return credit_by_hand(asked.backend.database, asked.path["order_id"], asked.body.payment_id, now_us())


def _rates(asked: Asked) -> FxRates:
    with asked.backend.database.reading() as connection:
        table = read_fx(connection)
    found = []
    for currency in MINOR_DIGITS:
        rate = table.rate(currency, day_of(now_us()))
        worth = rate.nano_usd(parse_amount("1000000", currency))
        found.append(FxRate(currency=currency, nano_usd_per_million=worth, day=rate.day, source=rate.source))
    return FxRates(data=found)


_ORDER: Final = f"{TENANT}/topups/{{order_id}}"
OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{ROOT}/topup-channels", summary="Ways of paying in.", run=_channels, reply=Channels,
    ),
    Operation(
        method="POST", path=f"{TENANT}/topups", summary="Order a top-up; paid, it credits the wallet once.",
        action="topup.order", run=_make, body=OrderWish, reply=MadeOrder, status=201,
    ),
    Operation(
        method="GET", path=f"{TENANT}/topups", summary="Top-ups of a tenant.", action="topup.read", run=_list,
        reply=Orders,
    ),
    Operation(method="GET", path=_ORDER, summary="One top-up.", action="topup.read", run=_find, reply=Order),
    Operation(
        method="DELETE", path=_ORDER, summary="Cancel a top-up that is not paid.", action="topup.order",
        run=_cancel, reply=Order,
    ),
    Operation(
        method="GET", path=f"{ROOT}/topup-events", summary="Callbacks that brought money and credited nobody.",
        action="topup.review", run=_events, query=EventQuery, reply=Events,
    ),
    Operation(
        method="POST", path=f"{ROOT}/topups/{{order_id}}/credit", summary="Credit a top-up whose money was seen.",
        action="wallet.credit", run=_credit, body=Seen, reply=Order,
    ),
    Operation(method="GET", path=f"{ROOT}/fx", summary="Exchange rates in force.", run=_rates, reply=FxRates),
)  # fmt: skip
