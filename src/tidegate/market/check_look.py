"""Check 12: figures that look made up. A flag for a human, never more."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tidegate.market.claim import Claim
from tidegate.market.finding import Corpus, Finding, ids

RUN_DIGITS = 6
TRIPLES = 3  # figures that agree between entities, and entities that agree
LAST_DIGIT_ROWS = 20
LAST_DIGIT_SHARE = 0.4
RUNS = re.compile("|".join("0123456789"[i : i + RUN_DIGITS] for i in range(11 - RUN_DIGITS)))
REVERSED = re.compile("|".join("9876543210"[i : i + RUN_DIGITS] for i in range(11 - RUN_DIGITS)))
SAME = re.compile(rf"([1-8])\1{{{RUN_DIGITS - 1}}}")


def check_look(corpus: Corpus) -> Iterator[Finding]:
    """Runs of digits, rows that repeat between entities, last digits that are too often the same."""
    for claim in corpus.claims:
        stated = "".join(re.findall(r"\d", claim.as_stated))  # 33.3333 may be our own reading of "a third"
        digits = format(claim.value.normalize(), "f").replace(".", "") if stated or not claim.as_stated else ""
        found = RUNS.search(digits) or REVERSED.search(digits) or SAME.search(digits)
        if found and claim.unit not in ("yyyymm", "yyyy"):
            yield _flag([claim], f"digits of {claim.value}", found[0])
    yield from _twins(corpus.claims)
    yield from _last_digits(corpus.claims)


def _twins(claims: Sequence[Claim]) -> Iterator[Finding]:
    """Entities with the same three or more figures: imputed, or copied. Round figures repeat by themselves."""
    rows: dict[tuple[str, str], dict[tuple[object, ...], Claim]] = defaultdict(dict)
    for claim in claims:
        key = (claim.metric, claim.scope, claim.unit, claim.period_start, claim.period_end, claim.qualifier)
        if len(claim.value.normalize().as_tuple().digits) > 1:
            rows[claim.source_id, claim.entity][key] = claim
    alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for (source, entity), mine in rows.items():
        figures = tuple(sorted((*map(str, key), str(claim.value)) for key, claim in mine.items()))
        if len(figures) >= TRIPLES:
            alike[source, figures].append(entity)
    for (place, _), entities in alike.items():
        if len(entities) >= TRIPLES:
            members = [claim for entity in entities for claim in rows[str(place), entity].values()]
            yield _flag(members, "figures of different entities", f"identical for {', '.join(entities)}")


def _last_digits(claims: Sequence[Claim]) -> Iterator[Finding]:
    groups: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        if len(claim.value.as_tuple().digits) >= 3 and claim.value.as_tuple().digits[-1]:
            groups[claim.source_id, claim.metric].append(claim)
    for members in groups.values():
        if len(members) < LAST_DIGIT_ROWS:
            continue
        digit, count = Counter(claim.value.as_tuple().digits[-1] for claim in members).most_common(1)[0]
        if count > LAST_DIGIT_SHARE * len(members):
            yield _flag(members, f"last digits of {members[0].metric}", f"{count} of {len(members)} end in {digit}")


def _flag(claims: Sequence[Claim], test: str, found: str) -> Finding:
    return Finding(
        kind="fabricated",
        verdict="flag",
        claims=ids(claims),
        test=test,
        expected="digits as measurements have them",
        found=found,
        reading="looks made up, imputed or copied: ask for the source",
    )
