"""Check 10 and contradictions: months of events, and leads that shares of the same platform do not allow."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tidegate.market.claim import Claim, words
from tidegate.market.finding import Corpus, Finding, ids, same_name, short

REST_MAX = 1 / 3  # of a platform: more than this cannot be left to neither of the two that are compared
LEAD = re.compile(r"lead|overtake|surpass|first_place|number_one")
PEAK = re.compile(r"best|peak|some weeks|top week|highest|max")
SIDES = re.compile(r"\s+(?:vs\.?|versus|over)\s+", re.IGNORECASE)


def check_dates(corpus: Corpus) -> Iterator[Finding]:
    """Events dated twice, and `since` against everything later."""
    yield from _two_dates(corpus.claims)
    for lead in corpus.claims:
        sides = SIDES.split(lead.entity)
        if LEAD.search(lead.metric) and len(sides) == 2:
            yield from _later_periods(lead, sides, corpus.claims)
            yield from _too_small_to_lead(lead, sides, corpus.claims)


def _two_dates(claims: Sequence[Claim]) -> Iterator[Finding]:
    """One event, two sources, two months. One source may name several events under one metric."""
    events = [claim for claim in claims if claim.unit in ("yyyymm", "yyyy")]
    for index, left in enumerate(events):
        for right in events[index + 1 :]:
            one = same_name(left.entity, right.entity) and left.metric == right.metric and left.unit == right.unit
            if not one or left.source_id == right.source_id or left.value == right.value:
                continue
            months = _months(right) - _months(left)
            several = sum(c.source_id == left.source_id and c.metric == left.metric for c in events) > 1
            if several and any(
                c.source_id == left.source_id and c.metric == left.metric and c.value == right.value for c in events
            ):
                continue
            yield Finding(
                kind="date_conflict",
                verdict="flag",
                claims=ids([left, right]),
                test=f"{left.entity}, {left.metric}",
                expected=str(left.value),
                found=f"{right.value}, {abs(months)} months {'later' if months > 0 else 'earlier'}",
                reading="exactly one year off: a slip of the year" if abs(months) == 12 else "one event, two dates",
            )


def _months(claim: Claim) -> int:
    number = int(claim.value)
    return number * 12 if claim.unit == "yyyy" else number // 100 * 12 + number % 100


def _later_periods(lead: Claim, sides: Sequence[str], claims: Sequence[Claim]) -> Iterator[Finding]:
    """`since` needs the lead in every later period that both sides have a figure for."""
    by_period: dict[tuple[object, ...], dict[int, Claim]] = defaultdict(dict)
    for claim in claims:
        if claim is lead or claim.period_start < lead.period_start or claim.unit in ("ratio", "yyyymm"):
            continue
        for side, name in enumerate(sides):
            if words(name) <= words(claim.entity) and claim.qualifier in ("eq", "approx"):
                key = (claim.period_start, claim.period_end, claim.metric, claim.unit, claim.platform)
                by_period[key].setdefault(side, claim)
    pairs = [pair for _, pair in sorted(by_period.items(), key=lambda item: str(item[0])) if len(pair) == 2]
    lost = [pair for pair in pairs if pair[0].value < pair[1].value]
    if not pairs:
        return
    if lost:
        told = ", ".join(f"{p[0].period_start}: {short(float(p[0].value))} < {short(float(p[1].value))}" for p in lost)
        yield Finding(
            kind="since",
            verdict="fail",
            claims=ids([lead, *(claim for pair in lost for claim in (pair[0], pair[1]))]),
            test=f"{sides[0]} above {sides[1]} in each of {len(pairs)} later periods",
            expected="all",
            found=f"{len(pairs) - len(lost)} of {len(pairs)}; {told}",
            reading="the lead was lost: `since` does not hold, `first in` may",
        )
    else:
        yield Finding(
            kind="since",
            verdict="pass",
            claims=ids([lead, *(claim for pair in pairs for claim in (pair[0], pair[1]))]),
            test=f"{sides[0]} above {sides[1]} in each of {len(pairs)} later periods",
            expected="all",
            found="all",
        )


def _too_small_to_lead(lead: Claim, sides: Sequence[str], claims: Sequence[Claim]) -> Iterator[Finding]:
    """A side with s % leads only if its rival has less, which leaves 100 - 2 s % or more to neither.

    A mean speaks against a lead that is said of the whole time; a best week against any lead since then.
    """
    shares = [
        claim
        for claim in claims
        if claim.is_share
        and claim.metric in ("token_share", "usage_share", "market_share", "share", "traffic_share", "request_share")
        and claim.platform == lead.platform
        and claim.overlaps(lead)
        and words(sides[0]) <= words(claim.entity)
        and claim.period_end is not None
    ]
    overall = [
        claim
        for claim in claims
        if claim is not lead
        and claim.unit == "ratio"
        and words(claim.entity) == words(lead.entity)
        and claim.platform == lead.platform
        and claim.qualifier in ("gt", "eq", "approx")
        and claim.value >= 1
    ]
    peaks = [claim for claim in shares if PEAK.search(claim.scope.lower())]
    means = [claim for claim in shares if claim not in peaks and claim.qualifier != "gt"]
    for group, beside in ((means, overall), (peaks, [])):
        if not group:
            continue
        most = max(float(claim.value) / (100 if claim.unit == "percent" else 1) for claim in group)
        rest = 1 - 2 * most
        if rest <= REST_MAX:
            continue
        yield Finding(
            kind="contradiction",
            verdict="fail",
            claims=ids([lead, *beside, *group]),
            test=f"lead with {most:.0%}: rival under {most:.0%}, {rest:.0%} or more to neither",
            expected=f"at most {REST_MAX:.0%} to neither",
            found=" and ".join(f"{claim.value:g} % ({claim.scope})" for claim in group),
            reading=f"both hold only if {sides[1]} had under {most:.0%} there",
        )
