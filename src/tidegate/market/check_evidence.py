"""Claims against evidence: what others published about the same thing, under another scope, month or definition."""

import re
from collections.abc import Iterator

import msgspec

from tidegate.market.check_scale import exact_power
from tidegate.market.claim import Claim, rate_days, stock, words
from tidegate.market.finding import Corpus, Finding, ids, organisation, same_name, short

SPELLING = 3
NEAR = 0.005  # relative: the same figure
MONTH_DAYS = 31
APART = 2.0  # factor between definitions


def check_evidence(corpus: Corpus) -> Iterator[Finding]:
    """One finding a claim and kind; nothing where there are no evidence rows."""
    labels: dict[tuple[str, str, str], list[Finding]] = {}
    for claim in corpus.claims:
        rows = [row for row in corpus.evidence if row.claim_id != claim.claim_id and _same_subject(claim, row)]
        for finding in _scope(claim, rows):
            labels.setdefault((claim.source_id, finding.expected, finding.found), []).append(finding)
        yield from _month(claim, rows)
        yield from _slip(claim, rows)
        yield from _event(claim, rows)
        yield from _definition(claim, rows)
    for same in labels.values():
        names = tuple(name for finding in same for name in finding.claims)
        yield msgspec.structs.replace(same[0], claims=names)


def _same_subject(claim: Claim, row: Claim) -> bool:
    owner = organisation(claim.entity) == organisation(row.entity) or same_name(claim.entity, row.entity)
    return owner and stock(claim.unit) == stock(row.unit)


def _same_figure(claim: Claim, row: Claim) -> bool:
    left, right = float(claim.value), float(row.value)
    return claim.unit not in ("yyyymm", "percent", "ratio") and abs(left - right) <= NEAR * max(left, right)


def _scope(claim: Claim, rows: list[Claim]) -> Iterator[Finding]:
    """The same figure is known under another scope, and under this one by nobody."""
    same = [row for row in rows if _same_figure(claim, row) and row.scope]
    others = [row for row in same if not _alike(row.scope, claim.scope)]
    if others and len(others) == len(same) and claim.scope and "not said" not in claim.scope:
        yield _finding("scope_mislabel", claim, others[0], others[0].scope, claim.scope)


def _alike(left: str, right: str) -> bool:
    """Whether two scopes share a third of their words: two spellings of one."""
    a, b = words(left), words(right)
    named = [frozenset(re.findall(r"\((\w[^)]*)\)", scope)) for scope in (left, right)]  # (IDC), (CNNIC)
    return bool(named[0] & named[1]) or len(a & b) * SPELLING >= len(a | b) or a <= b or b <= a


def _month(claim: Claim, rows: list[Claim]) -> Iterator[Finding]:
    """The same figure is known for another month only."""
    same = [row for row in rows if _same_figure(claim, row)]
    others = [row for row in same if not row.overlaps(claim)]
    if others and len(others) == len(same) and rate_days(claim.unit) is None:
        span = f"{others[0].period_start} to {others[0].period_end}"
        yield _finding("date_mislabel", claim, others[0], span, f"{claim.period_start} to {claim.period_end}")


def _slip(claim: Claim, rows: list[Claim]) -> Iterator[Finding]:
    """The same figure is known with more or fewer zeros: same entity, measure, scope and month."""
    for row in rows:
        one = words(row.entity) == words(claim.entity) and row.metric == claim.metric and row.unit == claim.unit
        near = abs((row.period_start - claim.period_start).days) <= MONTH_DAYS
        if one and near and _alike(row.scope, claim.scope) and claim.unit not in ("yyyymm", "rank"):
            off = exact_power(float(claim.value), float(row.value))
            if off:
                yield _finding("scale_slip", claim, row, short(float(row.value)), f"{claim.value:g}, off by 10^{off}")
                return


def _event(claim: Claim, rows: list[Claim]) -> Iterator[Finding]:
    """An event that others date differently."""
    dated = [row for row in rows if row.unit == claim.unit == "yyyymm" and words(row.metric) & words(claim.metric)]
    dated = [row for row in dated if same_name(row.entity, claim.entity)]
    if dated and all(row.value != claim.value for row in dated):
        yield _finding("date_conflict", claim, dated[0], str(dated[0].value), str(claim.value))


def _definition(claim: Claim, rows: list[Claim]) -> Iterator[Finding]:
    """People of one place counted more than twice apart: two definitions."""
    for row in sorted(rows, key=lambda row: abs((row.period_start - claim.period_start).days)):
        if claim.unit not in ("persons", "people", "users") or row.metric == "population" or not row.value:
            continue
        factor = float(claim.value) / float(row.value)
        near = row.overlaps(claim)
        shared = (words(row.metric) & words(claim.metric)) - {"users", "monthly", "daily", "active"}
        if near and shared and "users" in row.metric and not 1 / APART <= factor <= APART:
            found = f"{short(float(claim.value))}, a factor of {max(factor, 1 / factor):.1f}"
            yield _finding("definition_conflict", claim, row, f"{short(float(row.value))} ({row.scope})", found)
            return


def _finding(kind: str, claim: Claim, row: Claim, expected: str, found: str) -> Finding:
    return Finding(
        kind=kind,
        verdict="flag_external",
        claims=ids([claim]),
        test=f"against {row.claim_id} ({row.publisher or row.source_id})",
        expected=expected,
        found=found,
        reading="outside evidence differs; read both sources",
    )
