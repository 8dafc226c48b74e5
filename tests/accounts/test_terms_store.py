"""Price groups as they are kept: dated, never changed backwards, and known to workers."""

from collections.abc import Callable, Iterator

import msgspec
import pytest

from tidegate.accounts.database import Database, open_database, touch
from tidegate.accounts.errors import AccountInvalid, AccountNotFound
from tidegate.accounts.money import fx, terms
from tidegate.core.fx import Quote, parse_amount
from tidegate.core.price import KindRates, Price, Rates, Tier
from tidegate.core.terms import AT_COST, Term, TermsBook

NOW_US = 1_795_000_000_000_000
OWN = Price(
    price_id="gpt@vip",
    rates=Rates(input=2_000_000_000, output=8_000_000_000, cache_read=0, kinds=KindRates(audio_input=5)),
    tiers=(Tier(input_tokens_above=200_000, rates=Rates(input=4_000_000_000, output=16_000_000_000)),),
)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    is_postgres = getattr(request, "param", "sqlite") == "postgres"
    held = open_database(
        request.getfixturevalue("postgres").copy() if is_postgres else request.getfixturevalue("empty_accounts")
    )
    yield held
    held.close()


def book(database: Database) -> TermsBook:
    with database.reading() as connection:
        return terms.read_terms(connection)


def margin(ppm: int, **fields: object) -> Term:
    return Term(term_id="", margin_ppm=ppm, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_tenant_of_a_group_pays_its_margin_from_now_on(database: Database) -> None:
    """What was called before is charged as it was."""
    terms.add_term(database, "vip", margin(100_000), NOW_US)
    terms.join_group(database, "acme", "vip", NOW_US + 10)
    held = book(database)
    charged = [held.charge("acme", "openai/gpt-4o", us).margin_ppm for us in (NOW_US, NOW_US + 9, NOW_US + 10)]
    assert charged == [0, 0, 100_000]
    assert held.charge("other", "openai/gpt-4o", NOW_US + 10) is AT_COST


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_rates_of_ones_own_come_back_whole(database: Database) -> None:
    """Tiers, kinds and zeros included: a zero is free, not absent."""
    made = terms.add_term(database, "vip", Term(term_id="", models="openai/gpt-4o", price=OWN), NOW_US)
    (kept,) = terms.list_terms(database)
    named = msgspec.structs.replace(OWN, price_id=f"openai/gpt-4o@vip#{made.term_id}")
    assert kept.term.price == made.price == named
    assert book(database).charge("t", "openai/gpt-4o", NOW_US, "vip").price == named


def test_a_change_of_terms_is_known_to_workers(database: Database) -> None:
    """Each one bumps the version that they look at every second."""
    seen = [database.version()]
    made = terms.add_term(database, "vip", margin(1), NOW_US)
    seen.append(database.version())
    terms.join_group(database, "acme", "vip", NOW_US)
    seen.append(database.version())
    terms.end_term(database, made.term_id, NOW_US + 5)
    seen.append(database.version())
    assert seen == sorted(set(seen))


def test_a_book_is_read_again_only_when_prices_change(database: Database) -> None:
    """Workers ask after every change of the accounts; most are of keys. Each database has a book of its own."""
    terms.add_term(database, "vip", margin(1), NOW_US)
    first = book(database)
    with database.writing() as connection:
        touch(connection)
    assert book(database) is first
    changes: list[Callable[[], object]] = [
        lambda: terms.join_group(database, "acme", "vip", NOW_US),
        lambda: terms.join_group(database, "acme", "", NOW_US),  # in the place of the other
        lambda: terms.add_term(database, "vip", margin(2), NOW_US),
        lambda: terms.end_term(database, terms.list_terms(database)[0].term.term_id, NOW_US),
    ]
    for change in changes:
        before = book(database)
        change()
        assert book(database) is not before


def test_an_ended_entry_charges_until_its_end(database: Database) -> None:
    made = terms.add_term(database, "vip", margin(100_000), NOW_US)
    terms.end_term(database, made.term_id, NOW_US + 50)
    held = book(database)
    assert [held.charge("t", "m", us, "vip").margin_ppm for us in (NOW_US + 49, NOW_US + 50)] == [100_000, 0]
    with pytest.raises(AccountInvalid, match="ended already"):
        terms.end_term(database, made.term_id, NOW_US + 60)


def test_a_price_of_tomorrow_waits_for_tomorrow(database: Database) -> None:
    terms.add_term(database, "vip", margin(100_000), NOW_US)
    terms.add_term(database, "vip", margin(300_000, valid_from_us=NOW_US + 100), NOW_US)
    held = book(database)
    assert [held.charge("t", "m", us, "vip").margin_ppm for us in (NOW_US + 99, NOW_US + 100)] == [100_000, 300_000]


@pytest.mark.parametrize(
    ("group", "fields", "words"),
    [
        ("vip", {"valid_from_us": 5}, "begin in the past"),
        ("vip", {"valid_until_us": NOW_US - 1}, "ends after it began"),
        ("VIP!", {}, "price group"),
        ("vip", {"models": ""}, "no model or glob"),
        ("vip", {"margin_ppm": -1_000_001}, "a margin of"),
    ],
)
def test_the_past_is_not_changed(database: Database, group: str, fields: dict[str, object], words: str) -> None:
    whole = {"term_id": "", "margin_ppm": 1} | fields
    with pytest.raises(AccountInvalid, match=words):
        terms.add_term(database, group, Term(**whole), NOW_US)  # type: ignore[arg-type]


def test_nobody_joins_a_group_that_is_not_there_or_in_the_past(database: Database) -> None:
    """A slip of the pen would let a tenant call at cost."""
    with pytest.raises(AccountNotFound, match="no price group 'vlp'"):
        terms.join_group(database, "acme", "vlp", NOW_US)
    terms.add_term(database, "vip", margin(1), NOW_US)
    with pytest.raises(AccountInvalid, match="in the past"):
        terms.join_group(database, "acme", "vip", NOW_US, NOW_US - 1)
    terms.join_group(database, "acme", "vip", NOW_US)
    terms.join_group(database, "acme", "", NOW_US + 7)
    assert [(one.group, one.since_us) for one in terms.list_memberships(database)] == [
        ("vip", NOW_US),
        ("", NOW_US + 7),
    ]


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_the_operators_own_rate_is_kept_and_taken_back(database: Database) -> None:
    """8 yuan to the dollar from the 20th on, then the European Central Bank's again."""

    def cents() -> int:
        with database.reading() as connection:
            rate = fx.read_fx(connection).rate("CNY", "2026-11-22")
        return rate.nano_usd(parse_amount("80", "CNY")) // 10_000_000

    assert cents() == 1202
    quote = Quote(day="2026-11-20", base="USD", quote="CNY", rate="8", source="our bank")
    fx.set_quote(database, quote, NOW_US)
    fx.set_quote(database, quote, NOW_US)
    assert cents() == 1000
    assert fx.remove_quote(database, "2026-11-20", "CNY") == 1
    assert cents() == 1202
