"""Checks 9 and 11: scopes, bases, currencies and counter words that are mixed."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tidegate.market.claim import CURRENCIES, Claim, rate_days, stock
from tidegate.market.finding import Corpus, Finding, ids, organisation, short
from tidegate.market.words import amounts

APART = 2.0  # two scopes of one thing further apart than this are never chained
MONTH_DAYS = 30.4
BASES = {  # word -> basis
    "paid usage": "paid usage",
    "paid_usage": "paid usage",
    "spend": "spend",
    "spending": "spend",
    "revenue": "revenue",
    "usage": "usage",
    "tokens": "tokens",
    "token": "tokens",
    "calls": "calls",
    "users": "users",
    "visits": "visits",
}
WINDOWS = ("daily", "weekly", "monthly", "quarterly", "half_year", "yearly")
VOLUMES = ("tokens", "calls", "requests", "persons", "people", "users", "usd", "cny", "visits")
RATES_OF_EXCHANGE = {("usd", "cny"): (6.6, 7.4), ("eur", "cny"): (7.3, 8.5), ("usd", "jpy"): (135.0, 162.0)}


def check_scope(corpus: Corpus) -> Iterator[Finding]:
    """Everything that looks alike and measures something else."""
    yield from _mismatches(corpus)
    yield from _part_as_whole(corpus.claims)
    yield from _bases(corpus.claims)
    yield from _currencies(corpus.claims)
    yield from _counter_words(corpus.claims)
    yield from _windows_of_users(corpus.claims)


# -- scope -------------------------------------------------------------------------


def per_day(claim: Claim) -> float | None:
    """A volume as a rate per day over its own period; None where it has no time."""
    days = rate_days(claim.unit, claim.metric)
    if claim.unit in ("persons", "people", "users"):
        return float(claim.value)  # a stock: no time in it
    if days:
        return float(claim.value) / days
    return float(claim.value) / claim.days if claim.period_end else None


def _mismatches(corpus: Corpus) -> Iterator[Finding]:
    """One vendor's volume in two scopes, stated or as share x total, more than twice apart."""
    volumes = [one for one in corpus.claims if stock(one.unit) in VOLUMES and one.claim_id not in corpus.slips]
    volumes = [one for one in volumes if "peak" not in one.metric]
    implied = [(total, share) for share in corpus.claims for total in volumes if _share_of(share, total)]
    for total, share in implied:
        rate = per_day(total)
        if rate is None:
            continue
        part = rate * float(share.value) / (100 if share.unit == "percent" else 1)
        beside = [
            other
            for other in volumes
            if _same_owner(share, other)
            and other.overlaps(total)
            and other.platform != total.platform
            and stock(other.unit) == stock(total.unit)
        ]
        if beside:
            other = min(beside, key=lambda one: abs((one.period_start - total.end).days))
            told = f"{share.value:g} {share.unit} of {short(float(total.value))} over {total.days} days"
            yield from _apart((total, share, other), part, per_day(other), told)
    for index, left in enumerate(volumes):
        for right in volumes[index + 1 :]:
            scopes = (left.platform, right.platform)
            alike = stock(left.unit) == stock(right.unit) and _same_owner(left, right) and left.overlaps(right)
            if alike and scopes[0] != scopes[1] and all(scopes) and _same_measure(left, right):
                yield from _apart((left, right), per_day(left) or 0, per_day(right), short(float(left.value)))


def _same_measure(left: Claim, right: Claim) -> bool:
    """The metric, but for the time it is per: daily_tokens and tokens_per_day are one measure."""

    def plain(claim: Claim) -> str:
        return re.sub(r"_?(per_[a-z]+|daily|monthly|weekly|called|processed|total)", "", claim.metric)

    return plain(left) == plain(right)


def _share_of(share: Claim, total: Claim) -> bool:
    """The share is of this total: same market and same time."""
    if not share.is_share or not share.overlaps(total) or not share.same_period(total):
        return False
    # the scope of a share names what it is of, and the market: "tokens, MaaS for external customers (IDC)"
    scope, base = share.scope.lower(), total.scope.lower()
    return bool(base) and (base in scope or scope == base) and not _same_owner(share, total)


def _same_owner(left: Claim, right: Claim) -> bool:
    return organisation(left.entity) == organisation(right.entity)


def _apart(claims: Sequence[Claim], left: float, right: float | None, told: str) -> Iterator[Finding]:
    if not right or not left or 1 / APART <= right / left <= APART:
        return
    factor = max(right / left, left / right)
    days, per = (1.0, "") if stock(claims[-1].unit) in ("persons", "people", "users") else (MONTH_DAYS, " a month")
    yield Finding(
        kind="scope_mismatch",
        verdict="flag",
        claims=ids(claims),
        test=f"{told} against {short(float(claims[-1].value))} {claims[-1].unit}",
        expected=f"{short(left * days)}{per} ({claims[0].scope})",
        found=f"{short(right * days)}{per} ({claims[-1].scope}), a factor of {factor:.1f}",
        reading="one owner, two scopes: never chain or add these",
    )


def _part_as_whole(claims: Sequence[Claim]) -> Iterator[Finding]:
    """A mean of the whole used again for a part, while the part is said to lie far above it."""
    for whole in claims:
        for part in claims:
            alike = whole.metric == part.metric and whole.value == part.value and whole.unit == part.unit
            if not alike or not whole.metric.startswith(("mean_", "average_", "median_")):
                continue
            if whole.source_id != part.source_id or whole.platform != part.platform:
                continue
            is_whole = re.search(r"\ball\b|total|overall", whole.scope.lower()) and whole.scope != part.scope
            if not is_whole or not whole.overlaps(part):
                continue
            core = re.sub(r"^(mean|average|median)_", "", whole.metric)
            far = [
                one
                for one in claims
                if one.entity == part.entity
                and core in one.metric
                and one.unit == part.unit
                and one.source_id == part.source_id
                and (float(one.value) > APART * float(part.value) or float(one.value) < float(part.value) / APART)
            ]
            yield Finding(
                kind="scope_conflict",
                verdict="flag",
                claims=ids([whole, part, *far]),
                test=f"{whole.metric} of {whole.scope} and of {part.scope}",
                expected="a part differs from the whole",
                found=", ".join(f"{one.value:g} ({one.scope})" for one in (whole, part, *far)),
                reading="the figure of the whole was used again for a part",
            )


# -- bases -------------------------------------------------------------------------


def bases_of(claim: Claim) -> tuple[str, ...]:
    """What a share is counted in: its basis, else its metric, and what its reader noted about the basis."""
    found = []
    own = claim.basis.lower() or re.sub(r"_?share.*", "", claim.metric)
    if own in BASES:
        found.append(BASES[own])
    for noted in re.findall(r"basis(?: is|:) ([^;.]*)", claim.note.lower()):
        found += [BASES[word] for word in re.findall(r"paid usage|[a-z]+", noted) if word in BASES]
    return tuple(dict.fromkeys(found))


def _bases(claims: Sequence[Claim]) -> Iterator[Finding]:
    """One figure told on two bases, latest period first; with it those of the same series in the same doubt."""
    groups: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim.is_share and bases_of(claim):
            groups[claim.entity.lower(), claim.platform].append(claim)
    for (_, platform), group in groups.items():
        latest = max(claim.period_start for claim in group)
        now = [claim for claim in group if claim.period_start == latest]
        same = [c for c in now for o in now if c is not o and c.value == o.value and bases_of(c) != bases_of(o)]
        if not same:
            continue
        doubtful = [
            claim
            for claim in claims
            if claim.platform == platform
            and claim.metric in {one.metric for one in same}
            and len(bases_of(claim)) > 1
            and claim not in same
        ]
        told = sorted(same, key=lambda one: one.line) + doubtful
        named = sorted({basis for claim in told for basis in bases_of(claim)})
        yield Finding(
            kind="basis_conflict",
            verdict="flag",
            claims=ids(told),
            test=f"{same[0].entity} {same[0].value:g} {same[0].unit} as {', '.join(named)}",
            expected="one basis",
            found=f"{len(named)} bases",
            reading="tokens, spend and paid usage are three measures: state one in basis",
        )


# -- currencies and counter words --------------------------------------------------


def currency(claim: Claim) -> str:
    found = re.split(r"_|/", claim.unit.lower())[0]
    return {"rmb": "cny"}.get(found, found) if found in CURRENCIES else ""


def _currencies(claims: Sequence[Claim]) -> Iterator[Finding]:
    """The same digits in two currencies, or two figures of one currency apart by a rate of exchange."""
    money = [claim for claim in claims if currency(claim)]
    for index, left in enumerate(money):
        for right in money[index + 1 :]:
            one_thing = left.entity.lower() == right.entity.lower() and left.metric == right.metric
            if not one_thing or not left.same_period(right) or left.platform != right.platform or not left.value:
                continue
            ratio = float(right.value) / float(left.value)
            finding = _exchange(currency(left), currency(right), ratio)
            if finding:
                yield Finding(
                    kind="currency",
                    verdict="fail",
                    claims=ids([left, right]),
                    test=f"{right.value:g} {right.unit} / {left.value:g} {left.unit} = {short(ratio)}",
                    expected="the same worth",
                    found=finding,
                    reading="one of the two names the wrong currency",
                )


def _exchange(left: str, right: str, ratio: float) -> str:
    if left != right:
        return "the same digits in two currencies" if 0.98 <= ratio <= 1.02 else ""
    for pair, (low, high) in RATES_OF_EXCHANGE.items():
        if left in pair and (low <= ratio <= high or low <= 1 / ratio <= high):
            return f"apart by what {pair[0].upper()} is worth in {pair[1].upper()}"
    return ""


def _windows_of_users(claims: Sequence[Claim]) -> Iterator[Finding]:
    """Users in a day are at most those in a month; the same number for both names one of them wrongly."""
    timed = [
        (WINDOWS.index(found[1]), claim)
        for claim in claims
        if (found := re.match(rf"({'|'.join(WINDOWS)})_(?:active_)?users", claim.metric))
    ]
    for window, short_one in timed:
        for longer, long_one in timed:
            alike = organisation(short_one.entity) == organisation(long_one.entity) and short_one.alike_scope(long_one)
            if window >= longer or not alike or not short_one.overlaps(long_one) or short_one.value < long_one.value:
                continue
            same = short_one.value == long_one.value
            yield Finding(
                kind="metric_word" if same else "part_whole",
                verdict="flag" if same else "fail",
                claims=ids([short_one, long_one]),
                test=f"{short_one.metric} <= {long_one.metric}",
                expected=f"under {short(float(long_one.value))}",
                found=short(float(short_one.value)),
                reading="one figure under two names"
                if same
                else "more users in the shorter time: the words are mixed up",
            )


def _counter_words(claims: Sequence[Claim]) -> Iterator[Finding]:
    """Tokens counted in 次 (times called), or calls in tokens: the figure's noun is not its unit."""
    wrong: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        unit = stock(claim.unit)
        says_calls = re.search(r"[万亿兆\d]\s*次|\bcalls\b|\brequests\b", claim.as_stated)
        says_tokens = re.search(r"\btokens?\b|词元", claim.as_stated.lower())
        if (
            (unit == "tokens" and says_calls and not says_tokens)
            or (unit in ("calls", "requests") and says_tokens and not says_calls)
        ) and amounts(claim.as_stated, locale=claim.locale or "zh-CN"):
            wrong[claim.source_id].append(claim)
    for members in wrong.values():
        yield Finding(
            kind="unit_noun",
            verdict="flag",
            claims=ids(members),
            test="counter word against unit",
            expected=members[0].unit,
            found=members[0].as_stated,
            reading="calls or tokens: keep the words in as_stated and settle the unit from the source",
        )
