"""What a tenant is charged: dated margins and rates of one's own, exact to the nano-USD."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.price import Price, Rates, cost
from tidegate.core.terms import AT_COST, EVERYBODY, NO_TERMS, Charge, Membership, Term, Terms, TermsBook
from tidegate.core.usage import Usage

USAGE = Usage(input_tokens=1000, output_tokens=200)
OWN = Price(price_id="gpt@vip", rates=Rates(input=2_000_000_000, output=8_000_000_000))


def book(*entries: Term, group: str = "vip") -> TermsBook:
    return TermsBook([Terms(group=group, entries=entries)], [Membership(tenant_id="acme", group=group)])


@given(st.integers(0, 10**15), st.integers(-1_000_000, 5_000_000))
def test_a_margin_is_the_nearest_nano_dollar_to_the_exact_product(upstream: int, margin_ppm: int) -> None:
    """Fractions say the same; Python's own round() of a Fraction is half to even too."""
    exact = Fraction(upstream) * (1 + Fraction(margin_ppm, 1_000_000))
    assert Charge(margin_ppm=margin_ppm).amount(None, upstream) == round(exact)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(-1_000_000, 5_000_000))
def test_the_charge_of_an_upper_bound_bounds_the_charge(one: int, other: int, margin_ppm: int) -> None:
    """A reservation made on the bound always covers what is settled below it."""
    charge = Charge(margin_ppm=margin_ppm)
    assert charge.amount(None, min(one, other)) <= charge.amount(None, max(one, other))


def test_rates_of_ones_own_take_the_place_of_the_providers() -> None:
    """1,000 in at $2 and 200 out at $8 a million: $0.002 + $0.0016."""
    assert Charge(price=OWN).amount(USAGE, 999) == 3_600_000 == cost(USAGE, OWN)


def test_a_call_of_unknown_usage_under_own_rates_is_charged_nothing() -> None:
    """What nobody counted cannot be priced, and is never guessed."""
    assert Charge(price=OWN).amount(None, 999) == 0


def test_without_terms_the_tenant_pays_what_the_provider_charges() -> None:
    """A worker without any price group does no arithmetic at all."""
    assert TermsBook().charge("acme", "openai/gpt-4o", 5) is AT_COST
    assert AT_COST.amount(USAGE, 1234) == 1234
    assert book(Term(term_id="t", margin_ppm=100_000)).terms_for("stranger", 5) is NO_TERMS


def test_the_most_particular_entry_counts() -> None:
    """A slug before a glob, a longer glob before a shorter, whatever their order in the table."""
    entries = (
        Term(term_id="all", models="*", margin_ppm=100_000),
        Term(term_id="gpt", models="openai/gpt-4o", price=OWN),
        Term(term_id="openai", models="openai/*", margin_ppm=200_000),
    )
    for order in (entries, entries[::-1]):
        held = book(*order)
        assert held.charge("acme", "anthropic/claude", 0).terms_id == "vip/all"
        assert held.charge("acme", "openai/o3", 0).terms_id == "vip/openai"
        assert held.charge("acme", "openai/gpt-4o", 0).price is OWN


@pytest.mark.parametrize("glob", ["openai/gpt-4o*", "openai/gpt-[4-9][a-z]", "*openai/gpt-4o"])
def test_a_slug_comes_before_any_glob_that_matches_as_much(glob: str) -> None:
    """Also before one that was entered later, or has more letters in its brackets than the slug has."""
    later = Term(term_id="z", models=glob, margin_ppm=1, valid_from_us=5)
    held = book(Term(term_id="a", models="openai/gpt-4o", margin_ppm=2), later)
    assert held.charge("acme", "openai/gpt-4o", 10).margin_ppm == 2


def test_entries_begin_and_end_to_the_microsecond() -> None:
    """A price change mid-call cannot split the call: each call asks once, with the time at which it began."""
    held = book(
        Term(term_id="old", margin_ppm=100_000, valid_until_us=1000),
        Term(term_id="new", margin_ppm=300_000, valid_from_us=1000, valid_until_us=2000),
    )
    asked = [held.charge("acme", "m", ts).margin_ppm for ts in (0, 999, 1000, 1999, 2000, 999)]
    assert asked == [100_000, 100_000, 300_000, 300_000, 0, 100_000]


def test_a_later_entry_takes_over_from_an_open_one() -> None:
    """A new margin needs no end of the old one."""
    held = book(Term(term_id="a", margin_ppm=1), Term(term_id="b", margin_ppm=2, valid_from_us=10))
    assert [held.charge("acme", "m", ts).margin_ppm for ts in (9, 10)] == [1, 2]


def test_a_tenant_changes_its_group_at_a_moment() -> None:
    """And leaves every group with the empty one."""
    groups = [Terms(group=name, entries=(Term(term_id="m", margin_ppm=ppm),)) for name, ppm in (("a", 1), ("b", 2))]
    joined = [Membership(tenant_id="t", group=name, since_us=us) for name, us in (("b", 20), ("a", 10), ("", 30))]
    held = TermsBook(groups, joined)
    assert [held.charge("t", "m", us).margin_ppm for us in (9, 10, 19, 20, 29, 30)] == [0, 1, 1, 2, 2, 0]


def test_whoever_joined_no_group_is_in_everybodys() -> None:
    """One entry for all tenants; who is put into no group, from then on, pays at cost."""
    groups = [Terms(group=EVERYBODY, entries=(Term(term_id="m", margin_ppm=7),))]
    held = TermsBook(groups, [Membership(tenant_id="own", group="", since_us=5)])
    assert [held.charge(tenant, "m", us).margin_ppm for tenant in ("any", "own") for us in (4, 5)] == [7, 7, 7, 0]


def test_a_key_has_a_group_of_its_own() -> None:
    """As keys of one-api have; a group that nobody made falls back to the tenant's, never to cost price."""
    groups = [Terms(group=name, entries=(Term(term_id="m", margin_ppm=ppm),)) for name, ppm in (("a", 1), ("b", 2))]
    held = TermsBook(groups, [Membership(tenant_id="t", group="a")])
    assert held.charge("t", "m", 0, "b").margin_ppm == 2
    assert held.charge("t", "m", 0, "nobody-made-this").margin_ppm == 1


@given(
    st.lists(st.tuples(st.sampled_from(["*", "a/*", "a/x"]), st.integers(0, 9), st.integers(0, 30)), max_size=6),
    st.lists(st.tuples(st.sampled_from(["a/x", "a/y", "b/z"]), st.integers(0, 40)), max_size=20),
)
def test_what_is_remembered_is_what_a_walk_says(
    entries: list[tuple[str, int, int]], asked: list[tuple[str, int]]
) -> None:
    """The quick answer and the slow one agree at every time, in any order of asking."""
    terms = Terms(
        group="vip",
        entries=tuple(
            Term(term_id=str(n), models=models, margin_ppm=n, valid_from_us=start, valid_until_us=start + length)
            for n, (models, length, start) in enumerate(entries)
        ),
    )
    held = TermsBook([terms], [Membership(tenant_id="acme", group="vip", since_us=5)])
    for model, ts in asked:
        assert held.charge("acme", model, ts) == (terms.charge(model, ts) if ts >= 5 else AT_COST)


@pytest.mark.parametrize("margin_ppm", [-1_000_001, 1_000_000_001])
def test_a_margin_below_nothing_is_refused(margin_ppm: int) -> None:
    """Nobody is paid for calling; and a thousandfold price is a slip of the pen."""
    import msgspec

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"term_id": "t", "margin_ppm": margin_ppm}, Term)
