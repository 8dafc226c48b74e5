"""Checks 5 to 7: what shares sum to, parts and wholes, ranks among shares, and the base that a share implies."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tidegate.market.claim import Claim, low_high, rate_days, stock, words
from tidegate.market.finding import Corpus, Finding, ids, same_name, short

TOLERANCE = 1.0  # percentage points that rounding may add
BASE_OFF_MAX = 0.05
AXES = {  # ways to cut a whole; two shares add up only along one of them. Words that tell which
    "licence": {"closed", "open-weight", "open-source", "open", "proprietary", "闭源", "开源"},
    "origin": {"chinese", "us", "american", "european", "non-us", "中国", "美国"},
    "function": {"reasoning", "non-reasoning", "multimodal", "text-only"},
    "size": {"small", "medium", "large"},
}
NAMED_CUTS = ("language_share", "task_share", "category_share", "vendor_share", "unit_share")  # the metric says the cut
COMPLETE = ({"closed", "open-weight"}, {"closed", "open"}, {"closed", "open-source"}, {"proprietary", "open-source"})
NARROWS = ("outside", "largest", "single", "top", "other than", "excluding", "non-")
RANK = re.compile(r"\brank(?:ed|s)?\s*(\d+)|第([一二三四五六七八九])")


def check_shares(corpus: Corpus) -> Iterator[Finding]:
    """Every group of shares that can be added, every part beside its whole, every rank and implied base."""
    denominators = list(_denominators(corpus.claims))
    yield from denominators
    spoken_for = {name for finding in denominators for name in finding.claims}
    yield from _sums(corpus.claims, spoken_for)
    yield from _parts(corpus.claims)
    yield from _orders(corpus.claims)
    yield from _implied_bases(corpus)


def _axis(claim: Claim) -> str:
    if claim.metric in NAMED_CUTS:
        return "entity"
    named = words(claim.entity)
    of_models = bool(named & {"models", "model", "模型"})  # "US" alone is a country among countries
    hit = [axis for axis, terms in AXES.items() if named & terms and (of_models or axis not in ("origin", "size"))]
    return "+".join(sorted(hit)) if hit else "entity"


def _sums(claims: Sequence[Claim], spoken_for: set[str]) -> Iterator[Finding]:
    """Shares of one source, metric, scope and time along one axis: the latest of each entity."""
    groups: dict[tuple[str, ...], list[Claim]] = defaultdict(list)
    for claim in claims:
        apart = any(word in claim.entity.lower() for word in NARROWS) or "+" in _axis(claim)
        if claim.is_share and not apart and claim.claim_id not in spoken_for:
            groups[claim.source_id, claim.metric, claim.scope, claim.basis, claim.unit, _axis(claim)].append(claim)
    for group in groups.values():
        for members in _concurrent(group):
            entities = _latest(members)
            if len(entities) > 1:
                yield _sum(list(entities.values()))


def _concurrent(group: Sequence[Claim]) -> list[list[Claim]]:
    """Claims that overlap in time, around each period's end: shares of different years are never added."""
    ends = sorted({claim.end for claim in group})
    found = [[claim for claim in group if claim.period_start <= end <= claim.end] for end in ends]
    kept: list[list[Claim]] = []
    for members in found:
        if members and not any(set(ids(members)) <= set(ids(other)) for other in kept):
            kept.append(members)
    return [m for m in kept if not any(m is not other and set(ids(m)) < set(ids(other)) for other in kept)]


def _latest(members: Sequence[Claim]) -> dict[str, list[Claim]]:
    """Of each entity its latest claim, or the two rows of a range; a plain figure before an approximate one."""
    order = {"eq": 0, "range": 1, "range_low": 1, "range_high": 1, "approx": 2, "lt": 3, "gt": 3}
    found: dict[str, list[Claim]] = {}
    for claim in sorted(members, key=lambda one: (-one.period_start.toordinal(), order[one.qualifier])):
        known = found.setdefault(claim.entity.lower(), [])
        pair = {one.qualifier for one in known} | {claim.qualifier} == {"range_low", "range_high"}
        if not known or (pair and len(known) == 1 and known[0].period_start == claim.period_start):
            known.append(claim)
    return found


def _sum(entities: Sequence[Sequence[Claim]]) -> Finding:
    """Lower bounds above 100 cannot be; upper bounds above 100 bind; a complete set below 100 leaves a hole."""
    whole = 1.0 if entities[0][0].unit == "fraction" else 100.0
    slack = TOLERANCE * whole / 100
    low = sum(_bound(rows, low=True) for rows in entities)
    high = sum(_bound(rows, low=False) for rows in entities)
    bounded = any(row.qualifier in ("lt", "range_high", "range", "range_low") for rows in entities for row in rows)
    tops = [next((r for r in rows if r.qualifier == "range_high"), rows[0]) for rows in entities]
    lows = [next((r for r in rows if r.qualifier == "range_low"), rows[0]) for rows in entities]
    terms = " + ".join(f"{_bound(rows, low=False):g}" for rows in entities)
    names = [words(rows[0].entity) for rows in entities]
    complete = any(all(any(term in name for name in names) for term in terms_) for terms_ in COMPLETE)
    verdict, reading = "pass", f"{short(whole - high)} is left" if high <= whole else ""
    shown = tops
    if low > whole + slack:
        verdict, reading, shown = "fail", "the lower bounds alone are more than the whole", lows
        terms = " + ".join(f"{_bound(rows, low=True):g}" for rows in entities)
        high = low
    elif high > whole + 1e-9 * whole and bounded:
        verdict, reading = "flag_bounds", f"feasible only {short(high - whole)} below the upper bounds together"
    elif high < whole * 0.97 and complete:
        verdict, reading = "flag", f"the parts are said to be all there is, and {short(whole - high)} is missing"
    shown = sorted(shown, key=lambda claim: claim.line)
    return Finding(
        kind="share_sum",
        verdict=verdict,
        claims=ids(shown),
        test=f"{terms} = {short(high)}",
        expected=f"at most {whole:g}",
        found=short(high),
        reading=reading,
    )


def _bound(rows: Sequence[Claim], *, low: bool) -> float:
    """What the words say: a figure is taken as printed (rounding is in the tolerance)."""
    values = [float(row.value) for row in rows]
    only = rows[0]
    if len(rows) > 1:
        return min(values) if low else max(values)
    if only.qualifier == "range" and only.value_hi is not None:
        return values[0] if low else float(only.value_hi)
    if low and only.qualifier in ("lt", "range_high"):
        return 0.0
    if low and only.qualifier == "approx":
        return values[0] * 0.97
    return values[0]


# -- denominators ------------------------------------------------------------------


def _denominators(claims: Sequence[Claim]) -> Iterator[Finding]:
    """The share of X in B beside the share of B in X, in one source: two wholes that readers mix."""
    for claim in claims:
        if not claim.is_share:
            continue
        mine = words(claim.entity)
        others = [
            one
            for one in claims
            if one.source_id == claim.source_id
            and one.is_share
            and (found := re.fullmatch(r"share_of_(.+)", one.metric))
            and words(found[1]) == mine
            and one.overlaps(claim)
        ]
        if not any(words(one.entity) <= words(claim.scope) for one in others):
            continue
        total = sum(float(one.value) for one in others)
        yield Finding(
            kind="denominator",
            verdict="flag",
            claims=ids([claim, *others]),
            test=f"{claim.entity} in {claim.scope} against {', '.join(one.entity for one in others)} in {claim.entity}",
            expected="one whole",
            found=f"{claim.value:g} of one; {' + '.join(f'{o.value:g}' for o in others)} = {short(total)} of another",
            reading="two denominators: neither follows from the other without the size of both wholes",
        )


# -- parts, ranks and bases --------------------------------------------------------


def _parts(claims: Sequence[Claim]) -> Iterator[Finding]:
    """A part is at most its whole, and all parts together too."""
    wholes: dict[str, tuple[Claim, list[Claim]]] = {}
    for part in claims:
        for whole in claims:
            if part is whole or not _is_part(part, whole):
                continue
            wholes.setdefault(whole.claim_id, (whole, []))[1].append(part)
            if low_high(part)[0] > low_high(whole)[1] * (1 + 1e-9):
                yield Finding(
                    kind="part_whole",
                    verdict="fail",
                    claims=ids([part, whole]),
                    test=f"{part.entity} <= {whole.entity}",
                    expected=f"at most {short(low_high(whole)[1])}",
                    found=short(float(part.value)),
                    reading="a part is larger than its whole: the scopes differ, or one of the two is wrong",
                )
    for whole, parts in wholes.values():
        told = [part for part in parts if part.part_of]
        yield from _sum_of_parts(whole, told or [p for p in parts if p.entity.startswith(f"{whole.entity} - ")], told)


def _sum_of_parts(whole: Claim, parts: Sequence[Claim], told: Sequence[Claim]) -> Iterator[Finding]:
    """told: the parts that say of what they are a part; parts by name only may overlap, so they are flagged at most."""
    if len(parts) < 2 or any(low_high(part)[0] > low_high(whole)[1] for part in parts):
        return
    low = sum(low_high(part)[0] for part in parts)
    total = sum(float(part.value) for part in parts)
    fits = low <= low_high(whole)[1] * 1.005
    yield Finding(
        kind="part_whole",
        verdict="pass" if fits else "fail" if told else "flag",
        claims=ids([*parts, whole]),
        test=" + ".join(short(float(part.value)) for part in parts) + f" = {short(total)}",
        expected=f"at most {short(float(whole.value))}",
        found=short(total),
        reading="" if fits else "the parts are more than the whole, or they overlap",
    )


def _is_part(part: Claim, whole: Claim) -> bool:
    """Said so, or the same thing in the same time with more words on it: `top ten - Chinese` of `top ten`."""
    if part.metric != whole.metric or not part.same_period(whole):
        return False
    alike = stock(part.unit) == stock(whole.unit) and rate_days(part.unit, part.metric) == rate_days(
        whole.unit, whole.metric
    )
    if not alike:
        return False
    if part.part_of:
        return part.part_of.lower() in (whole.entity.lower(), whole.claim_id.lower()) and part.scope == whole.scope
    additive = stock(part.unit) in ("tokens", "calls", "requests", "persons", "usd", "cny") or part.is_share
    more = words(part.entity) - words(whole.entity)
    return additive and part.scope == whole.scope and words(whole.entity) < words(part.entity) and bool(more)


def _orders(claims: Sequence[Claim]) -> Iterator[Finding]:
    """`second among languages`: its figure against those that it is said to beat."""
    for claim in claims:
        match = RANK.search(f"{claim.as_stated} {claim.note}")
        if not match or not claim.is_share:
            continue
        rank = int(match[1]) if match[1] else "一二三四五六七八九".index(match[2]) + 1
        peers = [
            one
            for one in claims
            if one.metric == claim.metric and one.platform == claim.platform and one.overlaps(claim)
        ]
        own = [one for one in peers if same_name(one.entity, claim.entity)]
        others = {one.entity.lower(): one for one in peers if one not in own}
        value = max(float(one.value) for one in own if one.qualifier == "eq" or len(own) == 1)
        above = [one for one in others.values() if float(one.value) > value]
        below = [one for one in others.values() if float(one.value) <= value]
        if len(others) < 2:
            continue
        right = len(above) == rank - 1 or (len(above) < rank - 1 and len(others) < rank)
        listed = sorted(below if right else others.values(), key=lambda one: -one.value)
        yield Finding(
            kind="order",
            verdict="pass" if right else "fail",
            claims=ids([claim, *own, *listed]),
            test=" > ".join([f"{value:g}", *(f"{one.value:g}" for one in below)]),
            expected=f"rank {rank}",
            found=f"rank {len(above) + 1} of {len(others) + 1}",
            reading="" if right else f"above it: {', '.join(one.entity for one in above) or 'none'}",
        )


def _implied_bases(corpus: Corpus) -> Iterator[Finding]:
    """Users over their share is a population; it is held against a stated one."""
    everything = (*corpus.claims, *corpus.evidence)
    people = [one for one in everything if one.metric == "population" and one.unit in ("persons", "people")]
    for users in corpus.claims:
        if users.unit not in ("persons", "people", "users") or users.metric == "population":
            continue
        for share in corpus.claims:
            about = re.search(r"penetration|adoption|share_of_population|user_rate|user_share", share.metric)
            if not about or share.unit not in ("percent", "fraction") or share.entity != users.entity:
                continue
            told_together = users.source_id == share.source_id or (
                users.publisher and users.publisher == share.publisher
            )
            if not (told_together and share.overlaps(users) and _same_subject(users, share) and share.value):
                continue
            reference = [one for one in people if one.entity.lower() == users.entity.lower()]
            if reference:
                nearest = min(reference, key=lambda one: abs((one.period_start - users.period_start).days))
                yield _implied_base(users, share, nearest)


def _same_subject(users: Claim, share: Claim) -> bool:
    """`generative AI users` and `generative AI penetration`: what is left of the metric's words agrees."""
    drop = {"users", "penetration", "adoption", "rate", "share", "user", "pct", "percent", "population"}
    return words(users.metric) - drop == words(share.metric) - drop


def _implied_base(users: Claim, share: Claim, people: Claim) -> Finding:
    part = float(share.value) / (100 if share.unit == "percent" else 1)
    implied = float(users.value) / part
    off = implied / float(people.value)
    from tidegate.market.check_scale import power_off

    power = power_off(implied, float(people.value))
    fits = abs(math.log(off)) <= math.log(1 + BASE_OFF_MAX)
    reading = "" if fits else f"the share is of another base, {short(off)} times this one"
    if power:
        reading = f"off by 10^{power}: one of the two slipped"
    return Finding(
        kind="implied_base",
        verdict="pass" if fits else "fail",
        claims=ids([users, share, *([people] if people.claim_id else [])]),
        test=f"{short(float(users.value))} / {share.value:g} {share.unit} = {short(implied)}",
        expected=short(float(people.value)),
        found=short(implied),
        reading=reading,
    )
