"""Price groups in the accounts database: dated margins and rates, who is in which group, and what workers keep of it.

Entries are never changed: a new one takes over from its own date on, and one that must end is given an end. So what
was charged on a day can be worked out again at any later time.
"""

import re
import secrets
import sys
from typing import Final
from weakref import WeakKeyDictionary

import msgspec
import sqlalchemy as sa

from tidegate.accounts.database import Database, touch
from tidegate.accounts.errors import AccountInvalid, AccountNotFound
from tidegate.accounts.schema.money_in import price_members, price_terms
from tidegate.core.price import Price
from tidegate.core.terms import MARGIN_MAX_PPM, MARGIN_MIN_PPM, Membership, Term, Terms, TermsBook

GROUP: Final = re.compile(r"[a-z0-9_-]{1,64}")
_price_decoder = msgspec.json.Decoder(Price)
_kept: WeakKeyDictionary[sa.Engine, tuple[tuple[int | None, ...], TermsBook]] = WeakKeyDictionary()
"""The book of each database that was read last, with the versions of its two tables."""


class GroupTerm(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it is listed. `made_us`: UTC microseconds."""

    group: str
    term: Term
    made_us: int


def add_term(database: Database, group: str, term: Term, now_us: int) -> Term:
    """Add an entry to a price group, which is made by its first one; the entry with its id.

    It may not begin in the past: calls of then were charged otherwise. A price is given the id that rows will name:
    `MODELS@GROUP#TERM_ID`. Raises AccountInvalid.
    """
    check_group(group)
    if not term.models or len(term.models) > 200 or not term.models.isprintable():
        raise AccountInvalid(
            f"models {term.models[:80]!r} is no model or glob of up to 200 characters, such as openai/*"
        )
    if not MARGIN_MIN_PPM <= term.margin_ppm <= MARGIN_MAX_PPM:
        raise AccountInvalid(
            f"a margin of {term.margin_ppm} ppm; {MARGIN_MIN_PPM} (free) to {MARGIN_MAX_PPM} (a thousandfold) can be"
        )
    if term.valid_from_us < now_us and term.valid_from_us != 0:
        raise AccountInvalid("an entry cannot begin in the past: calls of then were charged as they were")
    if term.valid_until_us is not None and term.valid_until_us <= max(term.valid_from_us, now_us):
        raise AccountInvalid("an entry ends after it began, and not before now")
    begins_us = term.valid_from_us or now_us
    made = msgspec.structs.replace(term, term_id="term_" + secrets.token_hex(6), valid_from_us=begins_us)
    if term.price is not None:  # rows name it
        price_id = f"{term.models}@{group}#{made.term_id}"
        made = msgspec.structs.replace(made, price=msgspec.structs.replace(term.price, price_id=price_id))
    row = {
        "term_id": made.term_id,
        "price_group": group,
        "models": made.models,
        "margin_ppm": made.margin_ppm,
        "price_json": None if made.price is None else msgspec.json.encode(made.price).decode(),
        "valid_from_us": made.valid_from_us,
        "valid_until_us": made.valid_until_us,
        "made_us": now_us,
    }
    with database.writing() as connection:
        connection.execute(sa.insert(price_terms).values(**row, changed=touch(connection)))
    return made


def end_term(database: Database, term_id: str, now_us: int, until_us: int | None = None) -> None:
    """Let an entry end, now or at a later moment. Raises AccountNotFound, AccountInvalid."""
    until_us = now_us if until_us is None else until_us
    if until_us < now_us:
        raise AccountInvalid("an entry cannot end in the past: calls since then were charged by it")
    with database.writing() as connection:
        found = connection.execute(sa.select(price_terms).where(price_terms.c.term_id == term_id)).mappings().first()
        if found is None:
            raise AccountNotFound(f"no entry has the id {term_id!r}; `tidegate accounts prices list` shows all")
        if found["valid_until_us"] is not None and found["valid_until_us"] <= now_us:
            raise AccountInvalid(f"entry {term_id} has ended already")
        ended = {"valid_until_us": until_us, "changed": touch(connection)}
        connection.execute(sa.update(price_terms).where(price_terms.c.term_id == term_id).values(ended))


def join_group(database: Database, tenant_id: str, group: str, now_us: int, since_us: int | None = None) -> Membership:
    """Put a tenant into a price group from now, or from a later moment, on; "": into none. Raises AccountInvalid."""
    if group:
        check_group(group)
    since_us = now_us if since_us is None else since_us
    if since_us < now_us:
        raise AccountInvalid("a tenant cannot change its group in the past: calls of then were charged as they were")
    joined = Membership(tenant_id=tenant_id, group=group, since_us=since_us)
    key = (price_members.c.tenant_id == tenant_id) & (price_members.c.since_us == since_us)
    with database.writing() as connection:
        if (
            group
            and not connection.execute(
                sa.select(price_terms.c.term_id).where(price_terms.c.price_group == group).limit(1)
            ).first()
        ):
            raise AccountNotFound(f"there is no price group {group!r}; `tidegate accounts prices add` makes one")
        connection.execute(sa.delete(price_members).where(key))
        row = {"tenant_id": tenant_id, "since_us": since_us, "price_group": group, "changed": touch(connection)}
        connection.execute(sa.insert(price_members).values(row))
    return joined


def list_terms(database: Database) -> list[GroupTerm]:
    """Every entry there ever was, by group and start."""
    with database.reading() as connection:
        return _terms(connection)


def list_memberships(database: Database) -> list[Membership]:
    """Every change of group there ever was, by tenant and time."""
    with database.reading() as connection:
        return _memberships(connection)


def read_terms(connection: sa.Connection) -> TermsBook:
    """What workers keep. Where nobody has changed prices since the last time: that same book, for one quick look."""
    changes = [sa.select(sa.func.max(table.c.changed)).scalar_subquery() for table in (price_terms, price_members)]
    version = tuple(connection.execute(sa.select(*changes)).one())
    kept = _kept.get(connection.engine)
    if kept is not None and kept[0] == version:
        return kept[1]
    book = _read_book(connection)
    _kept[connection.engine] = version, book
    return book


def _read_book(connection: sa.Connection) -> TermsBook:
    groups: dict[str, list[Term]] = {}
    for one in _terms(connection):
        groups.setdefault(one.group, []).append(one.term)
    held = [Terms(group=group, entries=tuple(entries)) for group, entries in groups.items()]
    return TermsBook(held, _memberships(connection))


def check_group(group: str) -> None:
    """Raises AccountInvalid."""
    if not GROUP.fullmatch(group):
        raise AccountInvalid(f"price group {group[:80]!r}: 1 to 64 of a-z, 0-9, - and _ expected, such as vip")


def has_terms(connection: sa.Connection) -> bool:
    """Whether anybody's charge ever differed from the provider's: entries are never taken out."""
    return connection.execute(sa.select(price_terms.c.term_id).limit(1)).first() is not None


def _terms(connection: sa.Connection) -> list[GroupTerm]:
    order = (price_terms.c.price_group, price_terms.c.valid_from_us, price_terms.c.term_id)
    found = []
    for row in connection.execute(sa.select(price_terms).order_by(*order)).mappings():
        fields = dict(row)
        del fields["changed"]
        group, made_us, price = fields.pop("price_group"), fields.pop("made_us"), fields.pop("price_json")
        term = Term(price=None if price is None else _price_decoder.decode(price), **fields)
        found.append(GroupTerm(group=group, term=term, made_us=made_us))
    return found


def _memberships(connection: sa.Connection) -> list[Membership]:
    columns = (price_members.c.tenant_id, price_members.c.price_group, price_members.c.since_us)
    query = sa.select(*columns).order_by(price_members.c.tenant_id, price_members.c.since_us)
    return [
        Membership(tenant_id=tenant_id, group=sys.intern(group), since_us=since_us)
        for tenant_id, group, since_us in connection.execute(query)
    ]
