"""Checks 1 to 3: powers of ten, wrong periods, and rates times days against totals."""

import math
import re
from collections.abc import Iterator, Sequence

import msgspec

from tidegate.market.claim import DAYS_OF, Claim, low_high, rate_days, stock
from tidegate.market.finding import Corpus, Finding, ids, same_name, short
from tidegate.market.words import NumberWordError, amounts

PASS = math.log10(1.05)
COPY = 0.01  # of log10, 2.3 %
SLIP = 0.05  # of log10: a power of ten off, within 12 %
PERIODS = {
    7.0: "a week for a day",
    12.0: "a year for a month",
    24.0: "a day for an hour",
    30.4: "a month for a day",
    52.2: "a year for a week",
    60.0: "an hour for a minute",
    365.25: "a year for a day",
    1440.0: "a day for a minute",
}
CONFUSIONS = {
    1: "百万亿 and 千万亿, hundred trillion and quadrillion",
    3: "million, billion and trillion",
    4: "亿 and 万亿, or 万 and 亿",
    8: "万 and 万亿",
}
ADDITIVE = ("tokens", "token", "calls", "requests", "queries", "visits", "prompts", "usd", "cny", "rmb", "eur", "jpy")
MONTH_DAYS_MAX = 31
PERIOD_WORD = r"(daily|weekly|monthly|quarterly|half_year|yearly|annual)_?"
LONGER = 1.5  # a span so much longer than another is not the same one with other days


def check_scale(corpus: Corpus) -> Iterator[Finding]:
    """Words against value, rates against totals, and two figures of one thing."""
    for claim in corpus.claims:
        yield from _words_against_value(claim)
    yield from _same_total_twice(corpus.claims)
    yield from _calls_times_mean(corpus.claims)
    seen: set[frozenset[str]] = set()
    for left in corpus.claims:
        for right in corpus.claims:
            pair = frozenset((left.claim_id, right.claim_id))
            if len(pair) < 2 or pair in seen or not _comparable(left, right):
                continue
            finding = _pair(left, right)
            if finding:
                seen.add(pair)
                yield finding


def slips(findings: "list[Finding]", claims: "tuple[Claim, ...]") -> dict[str, int]:
    """Of each scale slip, the claim that is off and by which power of ten: the derived one, by convention the last."""
    known = {claim.claim_id: claim for claim in claims}
    found: dict[str, int] = {}
    for finding in findings:
        if finding.kind == "scale_slip" and len(finding.claims) > 1 and finding.claims[-1] in known:
            found[finding.claims[-1]] = int(finding.found.split("10^")[1].split()[0])
    return found


def power_off(stated: float, derived: float) -> int:
    """The k of a slip of 10^k, 0 where there is none. INDEX 5.3.1: |rho - k| <= 0.05."""
    if stated <= 0 or derived <= 0:
        return 0
    rho = math.log10(stated / derived)
    return round(rho) if abs(rho) > PASS and abs(rho - round(rho)) <= SLIP else 0


def exact_power(stated: float, derived: float) -> int:
    """As power_off, for two copies of one figure: its digits are the same, so the tolerance is narrow."""
    off = power_off(stated, derived)
    return off if off and abs(math.log10(stated / derived) - off) < COPY else 0


def period_off(stated: float, derived: float) -> str:
    """The confusion of periods that explains stated / derived within 5 %, or nothing."""
    if stated <= 0 or derived <= 0:
        return ""
    for factor, name in PERIODS.items():
        for ratio, sign in ((factor, ""), (1 / factor, "1/")):
            if abs(math.log10(stated / derived / ratio)) <= PASS:
                return f"{sign}{factor:g} ({name})"
    return ""


def _words_against_value(claim: Claim) -> Iterator[Finding]:
    """A slip of the pen between the words and the value beside them."""
    if claim.unit in ("yyyymm", "yyyy", "rank") or claim.value == 0:
        return
    try:
        found = amounts(claim.as_stated, locale=claim.locale)
    except NumberWordError as error:
        yield Finding(kind="scale", verdict="flag", claims=ids([claim]), test="words to a number", found=str(error))
        return
    if not found or any(_near(float(a.value), float(claim.value)) for a in found):
        return
    for amount in found:
        off = power_off(float(claim.value), float(amount.value)) if amount.value > 0 else 0
        if off and abs(math.log10(float(claim.value) / float(amount.value)) - off) < 0.003:
            if claim.unit in ("percent", "fraction") and abs(off) == 2:
                continue  # 0.3 for 30 %: another way to write it
            yield Finding(
                kind="scale_slip",
                verdict="fail",
                claims=ids([claim]),
                test=f"{amount.text} = value",
                expected=short(float(amount.value)),
                found=f"{short(float(claim.value))}, off by 10^{off}{_named(off)}",
                reading=f"the words say {short(float(amount.value))}",
            )
            return


def _near(left: float, right: float) -> bool:
    return any(math.isclose(left * scale, right, rel_tol=0.01) for scale in (1, 0.01, 100))


def _comparable(left: Claim, right: Claim) -> bool:
    """Rate and total, or two rates, or two totals of the same thing in the same time."""
    told_twice = left.unit == right.unit and left.metric == right.metric and left.source_id != right.source_id
    if stock(left.unit) != stock(right.unit) or (stock(left.unit).lower() not in ADDITIVE and not told_twice):
        return False
    if left.unit in ("yyyymm", "yyyy", "rank"):
        return False
    if not same_name(left.entity, right.entity) or not left.overlaps(right) or "ratio" in left.unit:
        return False
    return left.alike_scope(right) or left.entity == right.entity


def _pair(left: Claim, right: Claim) -> Finding | None:
    per_left, per_right = rate_days(left.unit, left.metric), rate_days(right.unit, right.metric)
    same_scope = left.alike_scope(right)
    if per_left and not per_right and left.metric != right.metric:
        return _rate_times_days(left, right, per_left) if same_scope else None
    if per_left and per_right and per_left <= per_right and left.unit != right.unit:
        return _two_rates(left, right, per_right / per_left) if same_scope else None
    if left.unit == right.unit and left.metric == right.metric and left.source_id != right.source_id:
        return _two_sources(left, right)
    return None


def _same_total_twice(claims: Sequence[Claim]) -> Iterator[Finding]:
    """One total for a span and again for a part of it: what had piled up, told as one period's."""
    totals = [c for c in claims if c.unit in ADDITIVE and c.period_end and not rate_days(c.unit, c.metric)]
    for whole in totals:
        for part in totals:
            measure = {re.sub(PERIOD_WORD, "", one.metric) for one in (part, whole)}
            alike = same_name(part.entity, whole.entity) and len(measure) == 1 and part.unit == whole.unit
            if not alike or part.value != whole.value or not part.value or not part.alike_scope(whole):
                continue
            inside = whole.period_start <= part.period_start and part.end <= whole.end
            if inside and whole.days >= LONGER * part.days:
                yield Finding(
                    kind="period_slip",
                    verdict="flag",
                    claims=ids([whole, part]),
                    test=f"{short(float(whole.value))} in {whole.days} days and in {part.days} of them",
                    expected=f"under {short(float(whole.value))} in the part",
                    found=short(float(part.value)),
                    reading="what had piled up by then was told as one period's",
                )


def _calls_times_mean(claims: Sequence[Claim]) -> Iterator[Finding]:
    """Calls x mean tokens of a call = tokens, in one scope and period."""
    means = [c for c in claims if re.fullmatch(r"tokens_per_(request|call)", c.unit) and c.value > 0]
    for mean in means:
        near = [c for c in claims if c.same_period(mean) and c.entity == mean.entity and c.scope == mean.scope]
        calls = next((c for c in near if c.unit in ("calls", "requests") and c.value > 0), None)
        total = next((c for c in near if c.unit == "tokens" and c.value > 0), None)
        if calls and total and not re.search("prompt|completion|input|output", mean.metric + total.metric):
            derived = float(mean.value) * float(calls.value)
            test = f"{short(float(calls.value))} x {short(float(mean.value))} = {short(derived)}"
            found = _judge(mean, total, (derived, derived * 0.95, derived * 1.05), test)
            yield msgspec.structs.replace(found, claims=ids([mean, calls, total]))


def _rate_times_days(rate: Claim, total: Claim, per: float) -> Finding | None:
    """Rate x days of the total's own period. A rate of one day says nothing about a long span."""
    if total.period_end is None or not rate.same_period(total):
        inside = total.period_start <= rate.period_start and rate.end <= total.end
        if total.period_end is None or not inside or total.days > MONTH_DAYS_MAX:
            return None
    factor = total.days / per
    low, high = (bound * factor for bound in low_high(rate))
    test = f"{short(float(rate.value))} x {factor:.4g} = {short(float(rate.value) * factor)}"
    if 28 <= total.days <= MONTH_DAYS_MAX:
        low = min(low, float(rate.value) * 28 / per)
    return _judge(rate, total, (float(rate.value) * factor, low, high), test)


def _two_rates(rate: Claim, total: Claim, factor: float) -> Finding | None:
    low, high = (bound * factor for bound in low_high(rate))
    derived = float(rate.value) * factor
    return _judge(rate, total, (derived, low, high), f"{short(float(rate.value))} x {factor:.5g} = {short(derived)}")


def _judge(rate: Claim, total: Claim, derived: tuple[float, float, float], test: str) -> Finding:
    """Pass within 5 % or inside both intervals; then a slip of ten, a wrong period, or plain disagreement."""
    point, low, high = derived
    stated = float(total.value)
    expected = f"{short(point)} ({short(low)} to {short(high)})"
    claims = ids([rate, total])
    stated_low, stated_high = low_high(total)
    if (
        abs(math.log10(stated / point)) <= PASS
        or low <= stated <= high
        or (stated_low <= high and low <= stated_high and 0.5 <= stated / point <= 2)
    ):
        return Finding(
            kind="conversion", verdict="pass", claims=claims, test=test, expected=expected, found=short(stated)
        )
    off = power_off(stated, point)
    if off:
        return Finding(
            kind="scale_slip",
            verdict="fail",
            claims=claims,
            test=test,
            expected=expected,
            found=f"{short(stated)}, off by 10^{off}{_named(off)}",
            reading=f"{short(stated / 10.0**off)} {total.unit}",
        )
    wrong = period_off(stated, point)
    if wrong:
        return Finding(
            kind="period_slip",
            verdict="fail",
            claims=claims,
            test=test,
            expected=expected,
            found=f"{short(stated)}, off by {wrong}",
            reading=f"the figure is of another period: {_period_of(stated, rate)}",
        )
    return Finding(
        kind="conversion",
        verdict="flag",
        claims=claims,
        test=test,
        expected=expected,
        found=f"{short(stated)}, a factor of {short(stated / point)}",
        reading="not one thing: another scope, part of the period, or one of the two is wrong",
    )


def _period_of(stated: float, rate: Claim) -> str:
    """The period whose total the stated figure is."""
    per = rate_days(rate.unit, rate.metric) or 1.0
    for name, days in DAYS_OF.items():
        if abs(math.log10(stated / (float(rate.value) * days / per))) <= PASS:
            return f"it is what {short(float(rate.value))} {rate.unit} makes in a {name}"
    return "no single period gives it"


def _two_sources(left: Claim, right: Claim) -> Finding | None:
    off = exact_power(float(right.value), float(left.value))
    if not off or not left.overlaps(right) or not _close_in_time(left, right):
        return None
    return Finding(
        kind="scale_slip",
        verdict="fail",
        claims=ids([left, right]),
        test="one figure in two sources",
        expected=short(float(left.value)),
        found=f"{short(float(right.value))}, off by 10^{off}{_named(off)}",
        reading="one of the two slipped; nothing here says which",
    )


def _close_in_time(left: Claim, right: Claim) -> bool:
    return abs((left.period_start - right.period_start).days) <= MONTH_DAYS_MAX


def _named(off: int) -> str:
    return f" (known confusion: {CONFUSIONS[abs(off)]})" if abs(off) in CONFUSIONS else ""
