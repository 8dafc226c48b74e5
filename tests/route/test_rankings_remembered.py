"""What a planner remembers is what it would have worked out anew: the fast ways beside the slow ones."""

import random

from hypothesis import given
from hypothesis import strategies as st

from rig.endpoints import endpoint, planner
from tidegate.core.price import Rates, Tier
from tidegate.core.routing_settings import PolicyConfig
from tidegate.route.planner import SHELVES_MAX, Call, Planner
from tidegate.route.rank import COARSE, FINE, begin_with, rank, shape_number, shape_of
from tidegate.route.wishes import NO_WISHES, read_wishes

BOUNDS = (32_000, 128_000, 200_000)
lengths = st.integers(1, 2**21)


@given(st.tuples(lengths, lengths), st.tuples(lengths, lengths), st.sampled_from((0, COARSE, FINE)))
def test_calls_of_one_number_have_one_shape(one: tuple[int, int], other: tuple[int, int], fineness: int) -> None:
    first, second = (shape_number(*lengths, BOUNDS, fineness) for lengths in (one, other))
    shapes = [shape_of(*lengths, BOUNDS, fineness) for lengths in (one, other)]
    assert (first == second) == (shapes[0] == shapes[1])


def busy_planner(rng: random.Random) -> Planner:
    tiers = (Tier(input_tokens_above=32_000, rates=Rates(input=4 * 10**9, output=8 * 10**9)),)
    facts = [
        endpoint(f"p{number}", rng.choice((0.5, 1, 2)), usd_out=rng.choice((1, 4)), tiers=rng.choice(((), tiers)))
        for number in range(12)
    ]
    return planner(*facts, affinity=True)


def test_a_remembered_ranking_is_the_one_that_would_be_made_now() -> None:
    """Lengths, breakers that open and close, and time: orders, costs and chances are those of a fresh ranking."""
    rng = random.Random(20261122)
    made, now_s = busy_planner(rng), 0.0
    for number in range(3000):
        now_s += rng.random()
        if not number % 17:
            name = f"m@p{rng.randrange(12)}"
            for _ in range(6):
                made.health.fail(name, now_s, "connect")
        if not number % 13 and made.health.unwell:
            made.health.succeed(rng.choice(sorted(made.health.unwell)), now_s)
        wishes = rng.choice((NO_WISHES, read_wishes(b'{"sort":"price"}')))
        entered, left = rng.choice((10, 900, 40_000)), rng.choice((0, 77))
        call = Call(("m",), wishes=wishes, input_tokens=entered, output_tokens=left, draw=rng.getrandbits(32))
        plan = made.plan(call, now_s)
        shelf = plan.shelf
        shape = shape_of(call.input_tokens, call.output_tokens or 500, shelf.tier_bounds, shelf.fineness)
        fresh = rank(shelf.groups[0], wishes, shape, made.health, now_s)
        kept = made.rankings(shelf, call, now_s)[0]
        assert (kept.order, kept.costs, kept.drawn, kept.sums) == (fresh.order, fresh.costs, fresh.drawn, fresh.sums)
        if not plan.is_probe:
            assert plan.order == begin_with(fresh.order, fresh.first(call.draw))


def test_what_is_remembered_of_lengths_and_health_is_bounded() -> None:
    rng = random.Random(3)
    made = busy_planner(rng)
    for number in range(2000):
        call = Call(("m",), wishes=read_wishes(b'{"sort":"price"}'), input_tokens=rng.randrange(1 << 30),
                    output_tokens=1 + number)  # fmt: skip
        shelf = made.plan(call, 1.0).shelf
        assert sum(map(len, shelf.rankings.values())) <= 256


def test_callers_that_make_ever_new_wishes_do_not_make_others_wait() -> None:
    """The shelves of those who keep calling stay while those of one call each come and go."""
    made = busy_planner(random.Random(5))
    kept = made.shelf(Call(("m",)))
    for number in range(3 * SHELVES_MAX):
        made.shelf(Call(("m", f"n{number}")))
        assert made.shelf(Call(("m",))) is kept
    assert made.shelves <= SHELVES_MAX


def test_those_whom_the_same_policies_bind_share_what_is_remembered() -> None:
    """A thousand tenants under one policy are planned for as one; another policy is another plan."""
    rules = {"eu": PolicyConfig(processing=("EU",)), "us": PolicyConfig(processing=("US",))}
    bound = {f"t{number}": ("eu",) for number in range(1000)} | {"other": ("us",)}
    facts = [endpoint("de", processing=frozenset(("DE",))), endpoint("us", processing=frozenset(("US",)))]
    made = planner(*facts, policies=rules, tenants=bound)
    for tenant in bound:
        plan = made.plan(Call(("m",), made.book.scope(tenant, "p", "k")), 1.0)
        assert [one.facts.tag for one in plan.order] == ["us" if tenant == "other" else "de"]
    assert made.shelves == 2
