"""Price groups: their dated entries, and which tenant is in which. The operator's business."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidegate.accounts.money.terms import GroupTerm, add_term, end_term, join_group, list_memberships, list_terms
from tidegate.accounts.tenancy import find_tenant, now_us
from tidegate.console.admin import ROOT, TENANT
from tidegate.console.operations import Asked, Operation
from tidegate.core.errors import InvalidRequest
from tidegate.core.price import Price, Rates
from tidegate.core.terms import MarginPpm, Membership, Term


class TermWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry: a margin on what the provider charges, in parts per million, or rates of your own, never both.

    `models`: a model or a glob. `rates`: nano-USD per million units. Times are UTC microseconds; 0: now.
    """

    group: str
    models: str = "*"
    margin_ppm: MarginPpm | None = None
    rates: Rates | None = None
    valid_from_us: Annotated[int, Meta(ge=0)] = 0
    valid_until_us: int | None = None


class End(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an entry ends, UTC microseconds; None: now."""

    at_us: int | None = None


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Every entry there ever was, by group and start."""

    data: list[GroupTerm]


class GroupWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The price group of a tenant from a moment on (UTC microseconds; None: now). `group` "": none."""

    group: str
    since_us: int | None = None


class Memberships(msgspec.Struct, frozen=True, kw_only=True):
    """The price groups a tenant was in, oldest first."""

    data: list[Membership]


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The entry that ends."""

    term_id: str


def _list(asked: Asked) -> Terms:
    return Terms(data=list_terms(asked.backend.database))


def _add(asked: Asked) -> GroupTerm:
    wish: TermWish = asked.body
    if (wish.margin_ppm is None) == (wish.rates is None):
        raise InvalidRequest("Give either `margin_ppm` or `rates`.", param="margin_ppm")
    price = None if wish.rates is None else Price(price_id=f"{wish.models}@{wish.group}"[:200], rates=wish.rates)
    term = Term(
        term_id="",
        models=wish.models,
        margin_ppm=wish.margin_ppm or 0,
        price=price,
        valid_from_us=wish.valid_from_us,
        valid_until_us=wish.valid_until_us,
    )
    moment = now_us()
    made = add_term(asked.backend.database, wish.group, term, moment)
    return GroupTerm(group=wish.group, term=made, made_us=moment)


def _end(asked: Asked) -> Ended:
    end_term(asked.backend.database, asked.path["term_id"], now_us(), asked.body.at_us)
    return Ended(term_id=asked.path["term_id"])


def _memberships(asked: Asked) -> Memberships:
    found = list_memberships(asked.backend.database)
    return Memberships(data=[one for one in found if one.tenant_id == asked.tenant_id])


def _join(asked: Asked) -> Membership:
    find_tenant(asked.backend.database, asked.tenant_id)
    return join_group(asked.backend.database, asked.tenant_id, asked.body.group, now_us(), asked.body.since_us)


OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{ROOT}/price-terms", summary="Entries of all price groups.", action="price.read",
        run=_list, reply=Terms,
    ),
    Operation(
        method="POST", path=f"{ROOT}/price-terms", summary="Add a margin or rates to a price group.",
        action="price.change", run=_add, body=TermWish, reply=GroupTerm, status=201,
    ),
    Operation(
        method="DELETE", path=f"{ROOT}/price-terms/{{term_id}}", summary="Let an entry end.", action="price.change",
        run=_end, body=End, reply=Ended,
    ),
    Operation(
        method="GET", path=f"{TENANT}/price-group", summary="The price groups of a tenant.", action="wallet.read",
        run=_memberships, reply=Memberships,
    ),
    Operation(
        method="PUT", path=f"{TENANT}/price-group", summary="Put a tenant into a price group.",
        action="price.change", run=_join, body=GroupWish, reply=Membership,
    ),
)  # fmt: skip
