"""A plan in words: which endpoints may serve a call and in which order, which may not, by which rule and fact."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.core.endpoint_facts import AvailabilityCode, EndpointFacts, ExcludedBy, Exclusion
from tidegate.core.errors import NotAvailable
from tidegate.core.money import format_usd
from tidegate.route.health import Health, percentiles_of
from tidegate.route.planner import Call, Planner, RoutePlan, needs_of
from tidegate.route.rank import OUTPUT_TOKENS_ASSUMED, Candidate, cost_of

NAMED_MAX = 5  # exclusions that the text of an error names


class ExplainedCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A permitted endpoint, and what its place rests on. Costs are USD as text."""

    endpoint_id: str
    provider: str
    tag: str
    expected_cost_usd: str
    weight_ppm: int | None  # chance to be the first, where that is drawn
    state: str
    is_well: bool
    error_ppm: int | None
    latency_p50_us: int | None
    throughput_p50: int | None
    facts: dict[str, Any]


class ExplainedExclusion(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why an endpoint may not serve."""

    endpoint_id: str
    excluded_by: ExcludedBy
    rule: str
    fact: str
    is_unknown: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, whole."""

    models: tuple[str, ...]
    policies: tuple[str, ...]
    data_class: str
    reason: str
    input_tokens: int
    output_tokens: int
    availability: dict[str, Any] | None
    plan: tuple[ExplainedCandidate, ...]
    excluded: tuple[ExplainedExclusion, ...]


def explain(planner: Planner, call: Call, now_s: float) -> Explanation:
    """The plan of a call, with every endpoint of its models in it once: planned, or excluded with all reasons."""
    plan = planner.plan(call, now_s)
    excluded = reasons(plan, call)
    chances = _chances(planner, plan, call, now_s)
    return Explanation(
        models=call.models,
        policies=tuple(policy.name for policy in plan.shelf.terms.policies),
        data_class=call.data_class,
        reason=plan.reason,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens or OUTPUT_TOKENS_ASSUMED,
        availability=None if plan.order else availability(plan, excluded),
        plan=tuple(_candidate(one, planner.health, call, now_s, chances) for one in plan.order),
        excluded=tuple(ExplainedExclusion(**msgspec.structs.asdict(one)) for one in excluded),
    )


def reasons(plan: RoutePlan, call: Call) -> list[Exclusion]:
    """Why each endpoint that is not in a plan is not: worked out for this very call, its length included."""
    terms = msgspec.structs.replace(plan.shelf.terms, needs=needs_of(call))
    return [found for group in plan.shelf.groups_asked for facts in group for found in terms.exclusions(facts)]


def availability(plan: RoutePlan, excluded: Sequence[Exclusion]) -> dict[str, Any]:
    """OpenRouter's `availability`: a code for why nothing may serve, and the kinds of rules that said no."""
    by = list(dict.fromkeys(one.excluded_by for one in excluded))
    return {"code": availability_code(plan.shelf.groups_asked, excluded), "excluded_by": by}


def availability_code(groups: Sequence[Sequence[EndpointFacts]], excluded: Sequence[Exclusion]) -> AvailabilityCode:
    """The kind of rule that alone would leave nothing; `constraint_filtered` where it takes several."""
    every = {facts.endpoint.endpoint_id for group in groups for facts in group}
    if not every:
        return "no_endpoints"
    for code, kinds in _ALONE:
        if every <= {one.endpoint_id for one in excluded if one.excluded_by in kinds}:
            return code
    return "constraint_filtered"


_ALONE: tuple[tuple[AvailabilityCode, frozenset[str]], ...] = (
    ("no_endpoints", frozenset(("price", "dialect"))),
    ("region_restricted", frozenset(("geo", "data_region"))),
    ("privacy_restricted", frozenset(("data_policy:zdr", "data_policy:training"))),
)


def refusal(plan: RoutePlan, call: Call) -> NotAvailable:
    """The error of a call that nothing may serve: which rules, and the facts they saw or missed."""
    excluded = reasons(plan, call)
    told = availability(plan, excluded)
    lines = [f"{one.endpoint_id}: {one.rule} ({one.fact})" for one in excluded[:NAMED_MAX]]
    more = f"; and {len(excluded) - NAMED_MAX} more" if len(excluded) > NAMED_MAX else ""
    models = ", ".join(call.models)
    text = f"No endpoint may serve {models[:200]!r} on these terms. {'; '.join(lines)}{more}."
    return NotAvailable(text, availability=told)


def _chances(planner: Planner, plan: RoutePlan, call: Call, now_s: float) -> dict[str, int]:
    if not plan.order or plan.shelf.wishes.order:
        return {}
    ranking = planner.rankings(plan.shelf, call, now_s)[0]
    if ranking.drawn < 2:
        return {}
    return {
        one.endpoint_id: ranking.share(place) * 1_000_000 >> 32
        for place, one in enumerate(ranking.order[: ranking.drawn])
    }


def _candidate(one: Candidate, health: Health, call: Call, now_s: float, chances: dict[str, int]) -> ExplainedCandidate:
    seen = health.of(one.endpoint_id)
    exact = cost_of(one, call.input_tokens, call.output_tokens or OUTPUT_TOKENS_ASSUMED)
    return ExplainedCandidate(
        endpoint_id=one.endpoint_id,
        provider=one.facts.endpoint.provider,
        tag=one.facts.tag,
        expected_cost_usd=format_usd(exact // 1_000_000),
        weight_ppm=chances.get(one.endpoint_id),
        state=seen.state(now_s),
        is_well=seen.is_well(now_s),
        error_ppm=seen.error_ppm(now_s),
        latency_p50_us=percentiles_of(seen.latency_us).p50,
        throughput_p50=percentiles_of(seen.throughput).p50,
        facts=stated(one.facts),
    )


def stated(facts: EndpointFacts) -> dict[str, Any]:
    """What is known of an endpoint; an unknown fact is null, a set a sorted list."""
    found: dict[str, Any] = {}
    for name in facts.__struct_fields__:
        if name in ("endpoint", "tag", "name"):
            continue
        value = getattr(facts, name)
        found[name] = sorted(value) if isinstance(value, frozenset) else value or (None if value == "" else value)
    return found
