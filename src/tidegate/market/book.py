"""Files of claims, read into typed rows; corrections are added rows and never touch what was claimed."""

import csv
import datetime as dt
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from tidegate.market.claim import QUALIFIERS, Claim, MarketError, check_unit, parse_day

SHIPPED = Path(__file__).parent.parent / "data" / "market"
NEEDED = ("entity", "metric", "period_start", "value", "unit")
OTHER_NAMES = {"id": "claim_id", "seed_file": "source_id", "source": "source_id", "source_url": "retrieved_from"}
SAID = {
    "approx": r"约|左右|\babout\b|\baround\b|approximately|roughly|~",
    "lt": r"近|不足|不到|以下|\bunder\b|less than|\bbelow\b|nearly|almost|up to|<",
    "gt": r"超|突破|以上|[倍亿万个家%]?多(?!模)|余|至少|more than|\bover\b|at least|exceed|\d\+|>",
}
PERIOD_KINDS = ("instant", "span", "rate")


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader holds against a claim. Both stay: the claim as published, and this row beside it."""

    claim_id: str
    field: str
    seen: str
    proposed: str
    why: str
    by: str
    at: str


def shipped_claims(*, documents: bool = True) -> tuple[Claim, ...]:
    """The claims that come with the package; documents: with those of the five texts that were read for the project."""
    names = ("claims.csv", "documents.csv") if documents else ("claims.csv",)
    return read_claims([SHIPPED / name for name in names])


def read_claims(paths: Sequence[Path]) -> tuple[Claim, ...]:
    """Claims of CSV files, in order; MarketError names file, row and mend. A claim_id may occur once only."""
    found: dict[str, tuple[Claim, Path]] = {}
    for path in paths:
        for claim in _read(path):
            if claim.claim_id in found:
                where = f"{found[claim.claim_id][1].name}, row {found[claim.claim_id][0].line}"
                raise MarketError(
                    f"{path.name}, row {claim.line}: claim_id {claim.claim_id!r} is already in {where}; "
                    "a claim is never edited: give the new row its own id, or write a correction"
                )
            found[claim.claim_id] = claim, path
    return tuple(claim for claim, _ in found.values())


def read_corrections(path: Path) -> tuple[Correction, ...]:
    """Rows of claim_id, field, seen, proposed, why, by, at."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return tuple(msgspec.convert(row, Correction) for row in rows)
    except msgspec.ValidationError as error:
        raise MarketError(
            f"{path.name}: {error}; a correction has claim_id, field, seen, proposed, why, by, at"
        ) from error


def corrected(claims: Iterable[Claim], corrections: Iterable[Correction]) -> tuple[Claim, ...]:
    """Copies of the claims as their corrections read them, for derived series only; the book keeps the originals."""
    by_id = {claim.claim_id: claim for claim in claims}
    for row in corrections:
        claim = by_id.get(row.claim_id)
        if claim is None:
            raise MarketError(
                f"a correction names claim {row.claim_id!r}, which is not in the book; check its claim_id"
            )
        if row.field not in ("value", "unit", "scope", "basis", "entity", "metric", "qualifier"):
            raise MarketError(
                f"a correction of {row.claim_id} names field {row.field!r}; it may be value, unit, scope, basis, ..."
            )
        seen = str(getattr(claim, row.field))
        if (row.field == "value" and Decimal(row.seen) != claim.value) or (row.field != "value" and row.seen != seen):
            raise MarketError(f"a correction of {row.claim_id} saw {row.field} {row.seen!r}, the book has {seen!r}")
        new: object = Decimal(row.proposed) if row.field == "value" else row.proposed
        by_id[row.claim_id] = msgspec.structs.replace(claim, **{row.field: new})
    return tuple(by_id.values())


def _read(path: Path) -> Iterable[Claim]:
    if not path.exists():
        raise MarketError(f"{path} is not there; pass a CSV file of claims")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = [OTHER_NAMES.get(name, name) for name in reader.fieldnames or ()]
        missing = [name for name in NEEDED if name not in columns]
        if missing:
            raise MarketError(
                f"{path.name} has no column {', '.join(missing)}; a file of claims has {', '.join(NEEDED)}"
            )
        for number, row in enumerate(reader, 2):
            named = {OTHER_NAMES.get(key, key): (value or "").strip() for key, value in row.items() if key}
            try:
                yield _claim(named, number)
            except MarketError as error:
                who = named.get("claim_id") or "a claim"
                raise MarketError(f"{path.name}, row {number} ({who}): {error}") from None


def _claim(row: dict[str, str], line: int) -> Claim:
    for name in NEEDED:
        if not row.get(name):
            mend = "give a day, month or year (2025-05)" if name == "period_start" else "every claim states it"
            raise MarketError(f"{name} is empty; {mend}")
    unit = row["unit"].replace("/", "_per_")
    if not check_unit(unit):
        raise MarketError(
            f"unit {row['unit']!r} is unknown; write what is counted and per what, such as tokens, tokens_per_day, "
            "percent, persons, usd, cny_per_1k_tokens"
        )
    start = _day(row, "period_start", last=False)
    end = _day(row, "period_end", last=True) if row.get("period_end") else None
    if end and end < start:
        raise MarketError(f"period_end {end} lies before period_start {start}; exchange them")
    value, high = _number(row, "value"), _number(row, "value_hi") if row.get("value_hi") else None
    if high is not None and high < value:
        raise MarketError(f"value_hi {high} is below value {value}: a reversed bound; exchange them")
    qualifier = row.get("qualifier") or _noted_qualifier(row.get("note", "")) or _stated_qualifier(row)
    if qualifier not in QUALIFIERS:
        raise MarketError(f"qualifier {qualifier!r} is unknown; it may be {', '.join(QUALIFIERS)}")
    if qualifier == "range" and high is None:
        raise MarketError("qualifier range needs value_hi; give the upper bound, or write gt, lt or approx")
    kind = row.get("period_kind") or ("instant" if start == end else "span")
    if kind not in PERIOD_KINDS:
        raise MarketError(f"period_kind {kind!r} is unknown; it may be {', '.join(PERIOD_KINDS)}")
    plain = ("entity", "metric", "scope", "basis", "as_stated", "source_id", "publisher", "published_at", "locator")
    more = ("retrieved_from", "retrieved_at", "restates", "part_of", "extracted_by", "confidence", "status", "locale")
    claim = Claim(
        claim_id=row.get("claim_id") or f"row-{line}",
        period_start=start,
        period_end=end,
        period_kind=kind,
        value=value,
        value_hi=high,
        unit=unit,
        qualifier=qualifier,
        derived_from=tuple(part.strip() for part in row.get("derived_from", "").split(";") if part.strip()),
        note=row.get("note", ""),
        line=line,
        **{name: row.get(name, "") for name in (*plain, *more)},
    )
    if claim.is_share and not claim.scope:
        raise MarketError(f"{claim.metric} is a share of nothing named; say in scope what 100 % is")
    return claim


def _noted_qualifier(note: str) -> str:
    found = re.match(r"q=(\w+)", note)
    return found[1] if found else ""


def _stated_qualifier(row: dict[str, str]) -> str:
    """Where no reader said it, what the words say: 近 and nearly are under, 超 and over above, 约 and about near."""
    stated = row.get("as_stated", "").lower()
    found = next((name for name, pattern in SAID.items() if re.search(pattern, stated)), "eq")
    return "eq" if row["unit"] in ("yyyymm", "yyyy", "rank") else found


def _day(row: dict[str, str], name: str, *, last: bool) -> dt.date:
    try:
        return parse_day(row[name], last=last)
    except ValueError:
        raise MarketError(f"{name} {row[name]!r} is no date; write 2025-05-31, 2025-05, 2025Q2 or 2025") from None


def _number(row: dict[str, str], name: str) -> Decimal:
    try:
        value = Decimal(row[name].replace(",", ""))
    except InvalidOperation:
        raise MarketError(f"{name} {row[name]!r} is no number; write digits, and the words in as_stated") from None
    if not value.is_finite():
        raise MarketError(f"{name} {row[name]!r} is not finite; a missing figure is no claim")
    return value
