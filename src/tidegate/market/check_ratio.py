"""Check 4: multiples, growth and comparisons against the figures they are made from."""

import datetime as dt
import math
import re
from collections.abc import Iterator, Sequence

from tidegate.market.claim import Claim, parse_day, rate_days, stock
from tidegate.market.finding import Corpus, Finding, ids, same_name, short

EXACT, SOFT = 0.05, 0.15  # relative: passes; a rounding that misleads but is no slip
GROWTH = re.compile(r"growth|change|increase|yoy|multiple|fold|times|ratio|rise|decline")
BETWEEN = re.compile(r"\s+(?:over|vs\.?|versus|against|to|relative to|compared with)\s+", re.IGNORECASE)
MONTHS = {
    name: number
    for number, name in enumerate(
        [
            "jan",
            "feb",
            "mar",
            "apr",
            "may",
            "jun",
            "jul",
            "aug",
            "sep",
            "oct",
            "nov",
            "dec",
        ],
        1,
    )
}
DATE = re.compile(
    r",?\s*\b(?:(?P<half>[HQ]\d)\s*|(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+)?"
    r"(?P<year>20\d\d)(?:-(?P<mm>\d\d))?\b",
    re.IGNORECASE,
)
Operands = tuple[Claim, Claim]  # above and below the line


def check_ratio(corpus: Corpus) -> Iterator[Finding]:
    """Every stated multiple or growth whose two figures are in the book; shares that moved, as points and percent."""
    used: set[frozenset[str]] = set()
    for claim in corpus.claims:
        if claim.unit not in ("ratio", "percent", "percentage_points") or not GROWTH.search(claim.metric):
            continue
        operands = _operands(claim, corpus.claims)
        if operands:
            used.add(frozenset(ids(operands)))
            yield _judge(claim, operands, corpus.slips)
    yield from _moved_shares(corpus.claims, used)


def _judge(claim: Claim, operands: Operands, slips: dict[str, int]) -> Finding:
    above, below = operands
    r = _value(above) / _value(below)
    told = (*ids(sorted([above, below], key=lambda one: one.line)), claim.claim_id)
    test = f"{short(_value(above))} / {short(_value(below))} = {short(r)}"
    compares = claim.unit == "ratio" and claim.value == 1
    kind = "derived_comparison" if compares else "ratio"
    stated = f"{claim.qualifier} {claim.value} {claim.unit}"
    verdict, reading = _verdict(claim, above, below)
    if verdict == "fail" and (above.claim_id in slips or below.claim_id in slips):
        mended = r / 10.0 ** slips.get(above.claim_id, 0) * 10.0 ** slips.get(below.claim_id, 0)
        if _holds(claim, mended):
            verdict = "fail_as_stated"
            reading = f"holds only with the slip of scale mended: {short(mended)}"
    if above.platform != below.platform and not same_name(above.entity, below.entity):
        reading = f"{reading}; across scopes: {above.scope or 'none'} / {below.scope or 'none'}".lstrip("; ")
    return Finding(kind=kind, verdict=verdict, claims=told, test=test, expected=stated, found=short(r), reading=reading)


def _verdict(claim: Claim, above: Claim, below: Claim) -> tuple[str, str]:
    """The verdict on a stated figure and what else it may be."""
    r, stated = _value(above) / _value(below), float(claim.value)
    points = _value(above) - _value(below)
    if claim.unit == "ratio":
        readings = {"the multiple": r, "the growth (multiple less one)": r - 1}
        others = {"growth in percent": 100 * (r - 1), "the multiple in percent": 100 * r}
    elif claim.unit == "percentage_points":
        readings, others = {"points": points}, {"percent, not points": 100 * (r - 1)}
    else:
        readings = {"growth in percent": 100 * (r - 1)}
        others = {"the multiple in percent": 100 * r, "the multiple": r, "the growth as a number": r - 1}
        if above.unit == "percent":
            others = {"percentage points, not percent": points, **others}
    first = next(iter(readings.values()))
    if _holds(claim, first):
        rounded = claim.qualifier in ("lt", "approx") and abs(first - stated) > EXACT * abs(stated)
        return ("pass_rounded" if rounded else "pass"), ""
    for name, value in readings.items():
        if claim.qualifier in ("eq", "approx") and abs(value - stated) <= EXACT * abs(stated):
            return "pass", f"read as {name}, {short(value)}"
    for name, value in others.items():
        if abs(value - stated) <= 0.02 * abs(value) or _rounds_to(value, claim):
            return "fail", f"{claim.value} is {name}; as {claim.unit} it is {short(first)}"
    if abs(first - stated) <= SOFT * abs(stated) and _same_side(first, claim):
        return "fail_soft", f"{abs(first / stated - 1):.0%} off: a rounding, not a slip of scale"
    off = math.log10(stated / first) if stated > 0 and first > 0 else 0
    if round(off) and abs(off - round(off)) <= 0.05:
        return "fail", f"off by 10^{round(off)}"
    return "fail", f"stated {claim.value}, worked out {short(first)}"


def _same_side(value: float, claim: Claim) -> bool:
    return value * float(claim.value) > 0


def _holds(claim: Claim, value: float) -> bool:
    stated = float(claim.value)
    if claim.qualifier == "gt":
        return value >= stated * (1 - 1e-9)
    if claim.qualifier == "lt":
        return value <= stated * (1 + 1e-9) and (value >= stated * 0.8 or stated == 1)
    if claim.qualifier == "range" and claim.value_hi is not None:
        return stated * (1 - EXACT) <= value <= float(claim.value_hi) * (1 + EXACT)
    return abs(value - stated) <= EXACT * abs(stated) or _rounds_to(value, claim, small=True)


def _rounds_to(value: float, claim: Claim, *, small: bool = False) -> bool:
    """Whether the value, rounded to the digits of the claim, is the claim. small: only if it has 2 digits or more."""
    exponent = int(claim.value.as_tuple().exponent)
    if small and len(claim.value.as_tuple().digits) < 2:
        return False
    return abs(round(value, max(0, -exponent)) - float(claim.value)) < 1e-9


def _value(claim: Claim) -> float:
    return float(claim.value)


# -- finding the two figures -------------------------------------------------------


def _operands(claim: Claim, claims: Sequence[Claim]) -> Operands | None:
    others = [one for one in claims if one is not claim and one.unit != "ratio" and one.value > 0]
    others = [one for one in others if not GROWTH.search(one.metric)]
    if claim.derived_from:
        named = [one for one in others if one.claim_id in claim.derived_from]
        if len(named) == 2:
            later, earlier = sorted(named, key=lambda one: (one.period_start, one.end), reverse=True)
            return later, earlier
    sides = BETWEEN.split(claim.entity)
    if len(sides) == 2:
        return _two_names(claim, sides, others)
    return _two_periods(claim, others)


def _two_names(claim: Claim, sides: Sequence[str], others: Sequence[Claim]) -> Operands | None:
    """`Google July 2025 over China public cloud 2024`: each side a name, perhaps with its own date."""
    names = [DATE.sub("", side).strip(" ,") for side in sides]
    dates = [_date_in(side) for side in sides]
    if dates[1] and not dates[0] and "," in sides[1]:
        dates[0] = dates[1]  # "A over B, May 2025" dates both
    found: list[list[Claim]] = []
    for name, date in zip(names, dates, strict=True):
        mine = [one for one in others if same_name(one.entity, name)]
        if date:
            mine = [one for one in mine if (one.period_start, one.period_end) == date]
        else:
            mine = [one for one in mine if one.overlaps(claim)]
        found.append(mine)
    pairs = [(a, b) for a in found[0] for b in found[1] if a is not b and a.unit == b.unit]
    if not pairs:
        return None
    wants_total = "month" in claim.metric or "total" in claim.metric
    pairs.sort(key=lambda p: (p[0].metric != p[1].metric, bool(rate_days(p[0].unit)) == wants_total, p[0].line))
    return pairs[0]


def _date_in(text: str) -> tuple[dt.date, dt.date] | None:
    match = DATE.search(text)
    if not match:
        return None
    code = match["year"]
    if match["half"]:
        code += match["half"].upper()
    elif match["month"]:
        code += f"-{MONTHS[match['month'].lower()[:3]]:02d}"
    elif match["mm"]:
        code += f"-{match['mm']}"
    return parse_day(code, last=False), parse_day(code, last=True)


def _two_periods(claim: Claim, others: Sequence[Claim]) -> Operands | None:
    """One thing in two periods; the claim begins with the first and ends with the second."""
    mine = [
        one
        for one in others
        if same_name(one.entity, claim.entity) and (one.scope == claim.scope or one.platform == claim.platform)
    ]
    mine.sort(key=lambda one: (one.scope != claim.scope, one.entity != claim.entity, one.source_id != claim.source_id))
    pairs = [
        (b, a)
        for a in mine
        for b in mine
        if a.metric == b.metric and a.unit == b.unit and a.scope == b.scope and a.period_start < b.period_start
    ]
    spans = [p for p in pairs if p[1].period_start == claim.period_start and p[0].end == claim.end]
    if spans:
        return spans[0]
    now = [p for p in pairs if p[0].same_period(claim)]
    if re.search(r"yoy|year|annual", claim.metric):
        now = [p for p in now if abs((p[0].period_start - p[1].period_start).days - 365) <= 16]
    return max(now, key=lambda p: p[1].period_start) if now else None


def _moved_shares(claims: Sequence[Claim], used: set[frozenset[str]]) -> Iterator[Finding]:
    """A share in two periods by one source: the multiple, the points and the percent, which are three numbers."""
    seen: set[tuple[str, str, str, str]] = set()
    for first in claims:
        for second in claims:
            mark = (first.entity.lower(), str(first.value), str(second.value), first.platform)
            if (
                not (first.is_share and second.is_share)
                or first.period_start >= second.period_start
                or (first.entity, first.metric, first.scope, first.source_id)
                != (second.entity, second.metric, second.scope, second.source_id)
                or {first.qualifier, second.qualifier} - {"eq", "approx"}
                or not first.value
                or frozenset(ids([first, second])) in used
                or mark in seen
                or stock(first.unit) != stock(second.unit)
            ):
                continue
            seen.add(mark)
            low, high = float(first.value), float(second.value)
            yield Finding(
                kind="ratio",
                verdict="pass",
                claims=ids([first, second]),
                test=f"{short(high)} / {short(low)} = {short(high / low)}",
                expected="at most 100 / earlier share",
                found=f"x {short(high / low)}, {high - low:+.4g} points, {100 * (high / low - 1):+.4g} %",
            )
