"""Dated list prices of models: from when to when each price is known to hold, and where nothing is known.

A list of snapshots (column `snapshot_date`) says what a price was on certain days. Two neighbouring snapshots that
agree are taken to say it of the days between; where they differ, the days between have no known price. A list of
changes (`valid_from`, `effective_at`, `capture_date`, `from_date`) says it of every day until the next change.
"""

import csv
import datetime as dt
import io
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from tidegate.catalog import Catalog
from tidegate.study.result import StudyError

SNAPSHOT = "snapshot_date"
CHANGES = ("valid_from", "effective_at", "capture_date", "from_date")
MODEL_COLUMNS = ("model", "id", "model_permaslug")
RATE_COLUMNS = {"input": ("input", "prompt"), "output": ("output", "completion")}
UNITS = {"_usd_per_mtok": 9, "_usd_per_token": 15}  # power of ten to nano-USD per million tokens
Key = tuple[str, str]
"""(model by its catalog slug, variant)."""


class Step(msgspec.Struct, frozen=True):
    """One price and the days on which it is known to hold, both ends included. Rates in nano-USD per million tokens."""

    first: dt.date
    last: dt.date
    input: int
    output: int

    def blended(self, input_share: float) -> float:
        """USD per million tokens of a mix of which this share is input."""
        return (self.input * input_share + self.output * (1 - input_share)) / 1e9


class Change(msgspec.Struct, frozen=True):
    """A price that became another: `before` held up to before.last, `after` held from after.first."""

    model: str
    variant: str
    before: Step
    after: Step


class PriceHistory:
    """Steps by model and variant, ascending, never overlapping. `basis`: a sentence on where they come from."""

    def __init__(self, steps: Mapping[Key, Sequence[Step]], basis: str) -> None:
        self.steps = {key: tuple(found) for key, found in steps.items() if found}
        self.basis = basis

    def during(self, model: str, variant: str, first: dt.date, last: dt.date) -> Step | None:
        """The one price known to have held on any day from first to last; None where there is none, or another too."""
        met = [step for step in self.steps.get((model, variant), ()) if step.first <= last and first <= step.last]
        return met[0] if len({(step.input, step.output) for step in met}) == 1 else None

    def nearest(self, model: str, variant: str, day: dt.date) -> Step | None:
        """The last price known by that day, else the first one known after it."""
        steps = self.steps.get((model, variant), ())
        return next((step for step in reversed(steps) if step.first <= day), steps[0] if steps else None)

    def changes(self, first: dt.date, last: dt.date) -> list[Change]:
        """Neighbouring steps of unequal price of which the new one began from first to last, by day and model."""
        found = [
            Change(model, variant, before, after)
            for (model, variant), steps in self.steps.items()
            for before, after in itertools.pairwise(steps)
            if first <= after.first <= last and (before.input, before.output) != (after.input, after.output)
        ]
        return sorted(found, key=lambda change: (change.after.first, change.model, change.variant))


def price_history(catalog: Catalog, file: Path | None) -> PriceHistory:
    """The analyst's file, if there is one; else what the catalog knows. Raises StudyError for an unreadable file."""
    return read_prices(file, catalog) if file else catalog_prices(catalog)


def catalog_prices(catalog: Catalog) -> PriceHistory:
    """Each model's price at OpenRouter, or else at its own maker. A price without a start holds from ever."""
    chosen: dict[str, str] = {}
    for provider, model in sorted(catalog.priced()):
        if provider == "openrouter" or (provider == model.partition("/")[0] and model not in chosen):
            chosen[model] = provider
    steps: dict[Key, list[Step]] = {}
    for name, provider in chosen.items():
        resolved = catalog.resolve(name)
        if resolved.dated and (resolved.model + resolved.suffix) in chosen:
            continue  # the model itself is priced too
        steps[resolved.model, resolved.variant] = [
            Step(
                _day(price.valid_from) or dt.date.min,
                (_day(price.valid_until) or dt.date.max) - dt.timedelta(days=bool(price.valid_until)),
                price.rates.input,
                price.rates.output,
            )
            for price in catalog.prices_of(provider, name)
        ]
    return PriceHistory(
        {key: joined(found) for key, found in steps.items()},
        "List prices: the catalog's (OpenRouter's, else the maker's own); most have no start there and are taken to "
        "have always held, so they show few changes.",
    )


def read_prices(file: Path, catalog: Catalog) -> PriceHistory:
    """A CSV of dated prices: a model, a date, and rates named `..._usd_per_mtok` or `..._usd_per_token`."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise StudyError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{file}: byte {error.start} is not UTF-8 text") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    header = reader.fieldnames or []
    model = _named(file, header, MODEL_COLUMNS)
    date = _named(file, header, (SNAPSHOT, *CHANGES))
    rates = {what: _rate_column(file, header, words) for what, words in RATE_COLUMNS.items()}
    by_name: dict[str, list[tuple[dt.date, int | None, int | None]]] = defaultdict(list)
    skipped = 0
    for row in _lines(file, reader):
        name = (row[model] or "").strip()
        if provider := (row.get("provider") or "").strip():
            name = name if "/" in name else f"{provider}/{name}"
        day = _day(row[date] or "")
        if row.get("event", "") == "remove" and day:
            by_name[name].append((day, None, None))
            continue
        amounts = [_amount(row[column], power) for column, power in rates.values()]
        if not name or day is None or None in amounts:
            skipped += 1
            continue
        by_name[name].append((day, amounts[0], amounts[1]))
    if not by_name:
        raise StudyError(f"{file} has no line with a model, a date and both rates")
    steps = _by_model(by_name, catalog, snapshots=date == SNAPSHOT)
    basis = f"List prices: {file.name}, {'snapshots' if date == SNAPSHOT else 'changes'} by {date}"
    if skipped:
        basis += f"; {skipped} of its lines have no date or no usable rate and were left out"
    return PriceHistory(steps, basis + ".")


def _lines(file: Path, reader: "csv.DictReader[str]") -> Iterator[dict[str, str | None]]:
    try:
        yield from reader
    except csv.Error as error:
        raise StudyError(f"{file}, line {reader.line_num}: not CSV: {error}") from error


def _by_model(
    by_name: Mapping[str, Sequence[tuple[dt.date, int | None, int | None]]], catalog: Catalog, *, snapshots: bool
) -> dict[Key, list[Step]]:
    """Several dated names of one model: the one spelled as its slug, else the one with most lines."""
    chosen: dict[Key, str] = {}
    for name in sorted(by_name, key=lambda name: (-len(by_name[name]), name)):
        resolved = catalog.resolve(name)
        key = resolved.model, resolved.variant
        if key not in chosen or name == resolved.model + resolved.suffix:
            chosen[key] = name
    days = sorted({day for seen in by_name.values() for day, _, _ in seen})
    make = _from_snapshots if snapshots else _from_changes
    return {key: joined(make(sorted(set(by_name[name]), key=_by_day), days)) for key, name in chosen.items()}


def _by_day(seen: tuple[dt.date, int | None, int | None]) -> dt.date:
    return seen[0]


def _from_snapshots(seen: Sequence[tuple[dt.date, int | None, int | None]], days: Sequence[dt.date]) -> Iterable[Step]:
    """Each snapshot holds on its day, and up to the next one of the list if that one says the same."""
    following = dict(itertools.pairwise(days))
    prices = {day: (entered, left) for day, entered, left in seen if entered is not None and left is not None}
    for day, (entered, left) in sorted(prices.items()):
        after = following.get(day)
        last = after if after is not None and prices.get(after) == (entered, left) else day
        yield Step(day, last, entered, left)


def _from_changes(seen: Sequence[tuple[dt.date, int | None, int | None]], _: Sequence[dt.date]) -> Iterable[Step]:
    for place, (day, entered, left) in enumerate(seen):
        following = seen[place + 1][0] if place + 1 < len(seen) else None
        last = dt.date.max if following is None else following - dt.timedelta(days=1)
        if entered is not None and left is not None and last >= day:  # of two changes on a day the later one counts
            yield Step(day, last, entered, left)


def joined(steps: Iterable[Step]) -> list[Step]:
    """Ascending, touching neighbours of equal price made one."""
    found: list[Step] = []
    for step in sorted(steps, key=lambda step: step.first):
        last = found[-1] if found else None
        same = last is not None and (last.input, last.output) == (step.input, step.output)
        if last is not None and same and (step.first - last.last).days <= 1:
            found[-1] = Step(last.first, max(last.last, step.last), last.input, last.output)
        else:
            found.append(step)
    return found


def _named(file: Path, header: Sequence[str], accepted: Sequence[str]) -> str:
    found = next((name for name in accepted if name in header), None)
    if found is None:
        raise StudyError(f"{file} has no column {' or '.join(accepted)}; its header is {', '.join(header) or 'empty'}")
    return found


def _rate_column(file: Path, header: Sequence[str], words: Sequence[str]) -> tuple[str, int]:
    for word in words:
        for unit, power in UNITS.items():
            if word + unit in header:
                return word + unit, power
    wanted = f"{words[0]}_usd_per_mtok or {words[1]}_usd_per_token"
    raise StudyError(f"{file} has no column {wanted}; its header is {', '.join(header) or 'empty'}")


def _amount(text: str | None, power: int) -> int | None:
    """Nano-USD per million tokens; None where there is no number, or a negative one (a router's "depends")."""
    try:
        amount = Decimal((text or "").strip()).scaleb(power)
    except InvalidOperation:
        return None
    return round(amount) if amount.is_finite() and amount >= 0 else None


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text.strip()[:10]) if text.strip() else None
    except ValueError:
        return None
