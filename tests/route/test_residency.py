"""What must always hold: no plan holds an endpoint that a policy in force excludes, no attempt leaves its plan.

The judge of a border is written anew here, from the words of the policy, and shares no code with the filter.
"""

import random
from fnmatch import fnmatchcase

from rig.endpoints import GROUPS, PROVIDERS, planner, random_facts, random_policy
from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.errors import ConfigError
from tidegate.core.routing_settings import PolicyConfig
from tidegate.route.course import Bounds, Course, RetryBudget, Setback, fault_of_status
from tidegate.route.planner import Call
from tidegate.route.wishes import Wishes

SEED = 20261122
CATALOGS, CALLS_EACH = 700, 150  # 105,000 calls
FAULTS = (500, 503, 429, 504, 401, 404, 400, 529)


def countries(names: tuple[str, ...]) -> set[str]:
    return {country for name in names for country in GROUPS.get(name, {name})}


def crosses(facts: EndpointFacts, policy: PolicyConfig, data_class: str) -> bool:
    """Whether serving a call there breaks the policy; what is not known counts as broken."""
    if policy.data_classes and data_class and data_class not in policy.data_classes:
        return False
    places = (
        (facts.processing, policy.processing, policy.processing_not, False),
        (facts.storage, policy.storage, policy.storage_not, True),
        ({facts.headquarters} if facts.headquarters else None, policy.headquarters, policy.headquarters_not, False),
    )
    for seen, within, outside, may_be_nowhere in places:
        if not within and not outside:
            continue
        if seen is None or (not seen and not may_be_nowhere):
            return True
        for country in seen:
            if (within and country not in countries(within)) or country in countries(outside):
                return True
    names = (facts.tag, facts.endpoint.provider)

    def named(globs: tuple[str, ...], texts: tuple[str, ...]) -> bool:
        return any(fnmatchcase(text, glob) for text in texts for glob in globs)

    return bool(
        (policy.providers and not named(policy.providers, names))
        or named(policy.providers_not, names)
        or (policy.models and not named(policy.models, (facts.endpoint.model,)))
        or named(policy.models_not, (facts.endpoint.model,))
        or (policy.no_training and facts.trains is not False)
        or (policy.retention_days_max is not None and not (
            facts.retention_days is not None and facts.retention_days <= policy.retention_days_max))
        or (policy.local_only and not facts.is_local)
        or (policy.moderated is not None and facts.is_moderated is not policy.moderated)
    )  # fmt: skip


def random_wishes(rng: random.Random) -> Wishes:
    return Wishes(
        order=tuple(rng.sample(PROVIDERS, 2)) if rng.random() < 0.2 else (),
        only=tuple(rng.sample(PROVIDERS, 3)) if rng.random() < 0.1 else (),
        ignore=(rng.choice(PROVIDERS),) if rng.random() < 0.1 else (),
        allow_fallbacks=rng.random() < 0.9,
        zdr=rng.random() < 0.05,
        no_training=rng.random() < 0.05,
        sort=rng.choice((None, None, "price", "latency", "throughput")),
        by_model=rng.random() < 0.8,
    )


def test_no_plan_and_no_attempt_crosses_a_border_in_a_hundred_thousand_calls() -> None:
    """Random catalogs, policies bound at every level, wishes, lengths, and faults at every turn."""
    rng = random.Random(SEED)
    planned = attempted = refused = impossible = 0
    for _ in range(CATALOGS):
        facts = {
            f"m{model}": [random_facts(rng, f"m{model}", n) for n in range(rng.randint(1, 8))] for model in range(2)
        }
        policies = {name: random_policy(rng) for name in ("all", "tenant", "key", "narrow")}
        try:
            made = planner(
                *facts["m0"], *facts["m1"], policies=policies, everyone=("all",), affinity=True,
                tenants={"t": ("tenant",)}, keys={"k": ("key",)},
            )  # fmt: skip
        except ConfigError:
            impossible += 1
            continue
        budget, wishes = RetryBudget(1.0), [random_wishes(rng) for _ in range(8)]
        for number in range(CALLS_EACH):
            tenant, key, wished = rng.choice(("t", "u")), rng.choice(("k", "l")), rng.choice(wishes)
            narrow = ("narrow",) if rng.random() < 0.2 else ()
            wished = wished if not narrow else Wishes(policies=narrow)
            data_class = rng.choice(("", "public", "personal"))
            call = Call(
                rng.choice((("m0",), ("m0", "m1"))), made.book.scope(tenant, "p", key), data_class, wished,
                input_tokens=rng.choice((10, 9_000, 50_000)), output_tokens=rng.choice((0, 100, 5_000)),
                draw=rng.getrandbits(32), keys=(rng.randint(1, 40),) if rng.random() < 0.5 else (),
            )  # fmt: skip
            bound = [policies["all"]] + [policies["tenant"]] * (tenant == "t") + [policies["key"]] * (key == "k")
            bound += [policies["narrow"]] * bool(narrow)
            now_s = number * 0.3
            plan = made.plan(call, now_s)
            for one in plan.order:
                assert not any(crosses(one.facts, policy, data_class) for policy in bound), (SEED, call, one)
            assert len({one.endpoint_id for one in plan.order}) == len(plan.order), "an endpoint stands in a plan once"
            if not plan.order:
                refused += 1
                continue
            planned += 1
            course = Course(plan, Bounds(attempts_max=3), budget, now_s)
            while True:
                attempted += 1
                current = course.current
                assert current in plan.order and len(course.tried) <= 3
                if rng.random() < 0.5:
                    made.health.succeed(current.endpoint_id, now_s, latency_us=rng.randint(1, 10**6), tokens_per_s=50)
                    if made.affinity is not None and call.keys:
                        made.affinity.note(call.keys, current.endpoint_id, call.input_tokens, now_s)
                    break
                fault = fault_of_status(rng.choice(FAULTS))
                if fault is not None:
                    made.health.fail(current.endpoint_id, now_s, fault, retry_after_s=rng.choice((None, 5.0)))
                setback = Setback(rng.choice((None, 1.0, 60.0)), rng.getrandbits(32), made.health)
                if course.fail(fault, now_s, is_begun=rng.random() < 0.1, setback=setback) is None:
                    break
                now_s += course.pause_s
    assert planned > 20_000 and refused > 20_000 and attempted > planned, "both ways were walked"
    assert planned + refused + impossible * CALLS_EACH == CATALOGS * CALLS_EACH >= 100_000


def test_a_plan_is_the_same_for_the_same_draw_and_state() -> None:
    rng = random.Random(SEED)
    facts = [random_facts(rng, "m", number) for number in range(10)]
    one, other = planner(*facts), planner(*facts)
    for draw in range(500):
        call = Call(("m",), draw=draw * 8_589_935, input_tokens=draw * 10)
        assert [c.endpoint_id for c in one.plan(call, 1.0).order] == [
            c.endpoint_id for c in other.plan(call, 1.0).order
        ]


def test_everything_that_is_permitted_is_planned() -> None:
    """The filter leaves out no more than the policy says: what the judge lets pass stands in the plan."""
    rng = random.Random(SEED + 1)
    for _ in range(400):
        policy = random_policy(rng)
        facts = [random_facts(rng, "m", number) for number in range(8)]
        made = planner(*facts, policies={"p": policy}, everyone=("p",))
        expected = {f.endpoint.endpoint_id for f in facts if not crosses(f, policy, "")}
        assert {one.endpoint_id for one in made.plan(Call(("m",)), 1.0).order} == expected
