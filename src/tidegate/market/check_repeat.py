"""Check 8 and its kin: the same figure told twice, on two sides of a mark, rounded apart, or in conflict."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tidegate.market.check_scale import exact_power
from tidegate.market.claim import Claim, low_high, rate_days, stock, words
from tidegate.market.finding import Corpus, Finding, ids, same_name, short

ROUNDING = 0.15  # relative: two figures this near in one source are one, rounded twice


def check_repeat(corpus: Corpus) -> Iterator[Finding]:
    """Pairs of claims about one thing in one time."""
    yield from _duplicates(corpus.claims)
    yield from _boundaries(corpus.claims)
    yield from _roundings(corpus.claims)
    yield from _nested(corpus.claims)
    yield from _conflicts(corpus.claims)


def one_thing(left: Claim, right: Claim) -> bool:
    """Same entity, metric, unit, basis and platform, in times that overlap."""
    return (
        left.metric == right.metric
        and left.unit == right.unit
        and words(left.entity) == words(right.entity)
        and left.platform == right.platform
        and not (left.basis and right.basis and left.basis != right.basis)
        and left.overlaps(right)
    )


def _duplicates(claims: Sequence[Claim]) -> Iterator[Finding]:
    """Two documents with the same figures restate one study: the largest shared total stands for all."""
    shared: dict[tuple[str, str], list[tuple[Claim, Claim]]] = defaultdict(list)
    for index, left in enumerate(claims):
        for right in claims[index + 1 :]:
            known = left.restates and left.restates == right.restates
            twice = one_thing(left, right) and left.value == right.value and left.value != 0
            if left.source_id != right.source_id and ((twice and left.metric != "population") or (known and twice)):
                shared[left.source_id, right.source_id].append((left, right))
    for (first, second), pairs in shared.items():
        left, right = max(pairs, key=lambda pair: (pair[0].unit not in ("percent", "ratio"), pair[0].value))
        more = "" if len(pairs) == 1 else f", and {len(pairs) - 1} more figures shared"
        yield Finding(
            kind="duplicate",
            verdict="info",
            claims=ids([left, right]),
            test=f"{first} and {second}",
            expected="independent sources",
            found=f"{short(float(left.value))} {left.unit} in both{more}",
            reading="one source told twice, not two confirmations",
        )


def _boundaries(claims: Sequence[Claim]) -> Iterator[Finding]:
    """One mark, below it and above it."""
    groups: dict[tuple[object, ...], list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim.qualifier in ("lt", "gt"):
            groups[claim.entity.lower(), claim.metric, claim.unit, claim.platform, claim.value].append(claim)
    for group in groups.values():
        sides = [c for c in group if any(o.qualifier != c.qualifier and o.overlaps(c) for o in group)]
        if sides:
            yield Finding(
                kind="boundary",
                verdict="flag",
                claims=ids(sides),
                test=f"{sides[0].entity} {sides[0].metric} against {sides[0].value:g} {sides[0].unit}",
                expected="one side",
                found=" and ".join(sorted({"under" if c.qualifier == "lt" else "over" for c in sides}, reverse=True)),
                reading="keep both with their qualifiers; no series may cross the mark on them",
            )


def _roundings(claims: Sequence[Claim]) -> Iterator[Finding]:
    """One source, one thing, one time, two figures near each other."""
    for index, left in enumerate(claims):
        for right in claims[index + 1 :]:
            if left.source_id != right.source_id or not one_thing(left, right) or not left.same_period(right):
                continue
            if left.scope != right.scope or not {left.qualifier, right.qualifier} <= {"eq", "approx"}:
                continue
            apart = abs(float(left.value) - float(right.value))
            if 0 < apart <= ROUNDING * float(max(left.value, right.value)) and not _overlap_exact(left, right):
                yield Finding(
                    kind="rounding",
                    verdict="flag",
                    claims=ids([left, right]),
                    test=f"{left.as_stated} and {right.as_stated}",
                    expected="one figure",
                    found=f"{short(float(left.value))} and {short(float(right.value))}, {short(apart)} apart",
                    reading="one figure, rounded in two ways",
                )


def _overlap_exact(left: Claim, right: Claim) -> bool:
    """Whether half a unit of the last digit covers the difference."""
    from tidegate.market.claim import half_step

    return abs(float(left.value) - float(right.value)) <= half_step(left) + half_step(right)


def _nested(claims: Sequence[Claim]) -> Iterator[Finding]:
    """Of two sources, one gives a range and the other a bound that holds it."""
    lows = [claim for claim in claims if claim.qualifier == "range_low"]
    for low in lows:
        highs = [c for c in claims if c.qualifier == "range_high" and c.source_id == low.source_id]
        high = next((c for c in highs if one_thing(low, c) and c.scope == low.scope and c.same_period(low)), None)
        if high is None:
            continue
        for bound in claims:
            if bound.source_id == low.source_id or bound.qualifier not in ("lt", "gt") or not one_thing(low, bound):
                continue
            inside = high.value <= bound.value if bound.qualifier == "lt" else low.value >= bound.value
            yield Finding(
                kind="nested",
                verdict="pass" if inside else "flag",
                claims=ids([low, high, bound]),
                test=f"{low.value:g} to {high.value:g}, {bound.qualifier} {bound.value:g}",
                expected="inside",
                found="inside" if inside else "outside",
            )


def _conflicts(claims: Sequence[Claim]) -> Iterator[Finding]:
    """Two sources on one key whose intervals do not meet after rounding."""
    seen: set[frozenset[str]] = set()
    for left in claims:
        for right in claims:
            pair = frozenset((left.claim_id, right.claim_id))
            if left.source_id >= right.source_id or pair in seen or not _same_key(left, right):
                continue
            a, b = low_high(left), low_high(right)
            if (a[0] <= b[1] and b[0] <= a[1]) or exact_power(float(right.value), float(left.value)):
                continue
            seen.add(pair)
            nearest = (b[0] - a[1]) if b[0] > a[1] else (a[0] - b[1])
            yield Finding(
                kind="conflict",
                verdict="flag",
                claims=ids([left, right]),
                test=f"{left.entity}, {left.metric}: {_interval(a)} and {_interval(b)}",
                expected="intervals that meet",
                found=f"{short(nearest)} apart, a factor of {short(_factor(left, right))}",
                reading="two sources disagree on one key; neither is preferred",
            )


def _same_key(left: Claim, right: Claim) -> bool:
    """Comparable: same entity, metric, scope and basis, and the same period (months may differ by their days)."""
    near = max(
        abs((left.period_start - right.period_start).days),
        abs((left.end - right.end).days) if left.period_end and right.period_end else 0,
    )
    timed = {"yyyymm", "yyyy", "rank", "score"}
    return (
        one_thing(left, right)
        and same_name(left.entity, right.entity)
        and left.scope.lower() == right.scope.lower()
        and near <= 3
        and left.unit not in timed
        and stock(left.unit) == stock(right.unit)
        and rate_days(left.unit) == rate_days(right.unit)
    )


def _factor(left: Claim, right: Claim) -> float:
    small, large = sorted((float(left.value), float(right.value)))
    return large / small if small else math.inf


def _interval(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"over {short(low)}" if math.isinf(high) else f"{short(low)} to {short(high)}"
