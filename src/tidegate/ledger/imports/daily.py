"""Published sums by day and model, as units of the rollup `daily_usage`; restated days become a new vintage.

Units of a rollup are added up, so a restated day is stored as what changed: the difference between the new value and
the old, negative where the value fell. The sum of all vintages is then the newest one, and the sum up to any vintage
is what was published then. The origin of each unit says when its values were published (`as of ...`).
"""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports.published_days import origin_text, published
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.rollup import insert_columns, load_rollup

if TYPE_CHECKING:
    from tidegate.ledger.store import Ledger

ROLLUP: Final = "daily_usage"
KEY: Final = ("day", "response_model", "model_variant", "provider_name", "is_byok")
MEASURES: Final = (
    "calls",
    "usage_input_tokens",
    "usage_output_tokens",
    "usage_cache_read_input_tokens",
    "usage_reasoning_output_tokens",
    "total_tokens",
    "tool_calls",
    "cost_nano_usd",
    "upstream_cost_nano_usd",
)

Key = tuple[dt.date, str, str, str | None, bool | None]
Values = tuple[int | None, ...]


class DayFact(msgspec.Struct, frozen=True, kw_only=True):
    """What was published of one model on one UTC day. None: the source does not publish it."""

    day: dt.date
    response_model: str
    model_variant: str = ""
    provider_name: str | None = None
    is_byok: bool | None = None
    calls: int | None = None
    usage_input_tokens: int | None = None
    usage_output_tokens: int | None = None
    usage_cache_read_input_tokens: int | None = None
    usage_reasoning_output_tokens: int | None = None
    total_tokens: int | None = None
    tool_calls: int | None = None
    cost_nano_usd: int | None = None
    upstream_cost_nano_usd: int | None = None

    @property
    def key(self) -> Key:
        return self.day, self.response_model, self.model_variant, self.provider_name, self.is_byok

    @property
    def values(self) -> Values:
        return tuple(getattr(self, name) for name in MEASURES)

    @property
    def shown(self) -> str:
        return f"{self.day} {self.response_model}{':' + self.model_variant if self.model_variant else ''}"


class Vintage(msgspec.Struct, frozen=True, kw_only=True):
    """Facts published at one time. name: of the file, for people; mark: its fingerprint. as_of: UTC, no zone."""

    name: str
    mark: str = ""
    as_of: dt.datetime
    facts: tuple[DayFact, ...]


class Added(msgspec.Struct, kw_only=True):
    """What adding did. new: facts the ledger did not have; known: held with these values; restated, outdated: days.

    gone: facts of restated days that are no longer listed. units: the manifest's names of what was added.
    """

    new: int = 0
    known: int = 0
    restated: int = 0
    changed: int = 0
    outdated: int = 0
    gone: int = 0
    units: list[str] = []

    def notes(self) -> list[str]:
        """What a reader of the report must know about vintages."""
        found = []
        if self.restated:
            gone = f", {self.gone} no longer listed (they count zero now)" if self.gone else ""
            found.append(
                f"{_days(self.restated)} restated by the source: {self.changed} values changed{gone}; both vintages "
                "are kept, the newest is used"
            )
        if self.outdated:
            found.append(
                f"{_days(self.outdated)} of these files are older than what the ledger holds, with other values: left "
                "out, the newest vintage stays; import them under another --source-id to keep them"
            )
        return found


def add_daily(ledger: "Ledger", source_id: str, vintages: Sequence[Vintage], *, prefix: str) -> Added:
    """Add published days, oldest vintage first, one unit each; nothing is written before all were checked.

    prefix: of the units' names. Raises LedgerError where a day is restated without a measure that it had.
    """
    held, dated = _held(ledger, source_id)
    added = Added(units=[])
    plans: list[tuple[Vintage, list[tuple[Key, Values]]]] = []
    for vintage in sorted(vintages, key=lambda item: item.as_of):
        days: dict[dt.date, dict[Key, Values]] = {}
        for fact in vintage.facts:
            days.setdefault(fact.day, {})[fact.key] = fact.values
        changes: list[tuple[Key, Values]] = []
        for day, new in sorted(days.items()):
            changes += _day_changes(day, held.setdefault(day, {}), new, vintage, dated, added)
        plans.append((vintage, changes))
    for vintage, changes in plans:
        if changes:
            added.units.append(_write(ledger, source_id, vintage, changes, prefix))
    return added


def _day_changes(
    day: dt.date,
    old: dict[Key, Values],
    new: Mapping[Key, Values],
    vintage: Vintage,
    dated: dict[dt.date, dt.datetime],
    added: Added,
) -> list[tuple[Key, Values]]:
    """What must be added to the held day; `old` becomes the day as it is then held."""
    common = [key for key in new if key in old]
    restated = any(_differ(old[key], new[key]) for key in common)
    if restated and vintage.as_of < dated.get(day, vintage.as_of):
        added.outdated += 1
        return []
    changes: list[tuple[Key, Values]] = []
    for key, values in new.items():
        before = old.get(key)
        if before is None:
            added.new += 1
            changes.append((key, values))
            old[key] = values
            continue
        if _differ(before, values):
            added.changed += 1
            _check_measures(day, before, values, vintage)
        else:
            added.known += 1
        difference = tuple(_minus(value, earlier) for value, earlier in zip(values, before, strict=True))
        if any(difference):
            changes.append((key, difference))
        old[key] = tuple(earlier if value is None else value for value, earlier in zip(values, before, strict=True))
    if restated:
        added.restated += 1
        for key in [key for key, values in old.items() if key not in new and any(values)]:
            added.gone += 1
            changes.append((key, tuple(value and -value for value in old[key])))
            old[key] = tuple(value if value is None else 0 for value in old[key])
    if changes:
        dated[day] = max(vintage.as_of, dated.get(day, vintage.as_of))
    return changes


def _differ(old: Values, new: Values) -> bool:
    """Whether both say something, and not the same; who is silent about a measure contradicts nobody."""
    return any(a is not None and b is not None and a != b for a, b in zip(old, new, strict=True))


def _minus(new: int | None, old: int | None) -> int | None:
    if new is None:
        return None
    return new - (old or 0)


def _check_measures(day: dt.date, old: Values, new: Values, vintage: Vintage) -> None:
    lost = [name for name, a, b in zip(MEASURES, old, new, strict=True) if a is not None and b is None]
    if lost:
        raise LedgerError(
            f"{vintage.name} restates {day} without {', '.join(lost)}, which the ledger holds for that day: the day "
            "would contradict itself. Import it under another --source-id. Nothing of this import was kept."
        )


def _held(ledger: "Ledger", source_id: str) -> tuple[dict[dt.date, dict[Key, Values]], dict[dt.date, dt.datetime]]:
    """What the ledger holds of this source by day, and when each day's newest vintage was published."""
    units = {
        str(ledger.path / file.path): entry
        for entry in ledger.entries()
        if entry.kind == "rollup"
        for file in entry.files
        if file.table == ROLLUP
    }
    held: dict[dt.date, dict[Key, Values]] = {}
    dated: dict[dt.date, dt.datetime] = {}
    if not units:
        return held, dated
    scan = "read_parquet(?, union_by_name = true, filename = true, hive_partitioning = false) WHERE source_id = ?"
    with open_engine() as connection:
        rows = connection.execute(
            f"SELECT {', '.join(KEY)}, {', '.join(f'sum({name})' for name in MEASURES)} FROM {scan} GROUP BY ALL",
            [list(units), source_id],
        ).fetchall()
        days = connection.execute(f"SELECT DISTINCT day, filename FROM {scan}", [list(units), source_id]).fetchall()
    for row in rows:
        key_of: Any = tuple(row[: len(KEY)])
        held.setdefault(row[0], {})[key_of] = tuple(None if v is None else int(v) for v in row[len(KEY) :])
    for day, name in days:
        when = published(units[name].origin, units[name].created)
        dated[day] = max(when, dated.get(day, when))
    return held, dated


def _write(
    ledger: "Ledger", source_id: str, vintage: Vintage, changes: Sequence[tuple[Key, Values]], prefix: str
) -> str:
    rollup = load_rollup(ROLLUP)
    columns = {name: rollup.type_of(name) for name in (*KEY, *MEASURES)}
    fields = ", ".join(
        f"CAST({_expression(column, columns, source_id)} AS {rollup.type_of(column)}) AS {column}"
        for column in rollup.columns
    )
    digest = hashlib.sha256(msgspec.json.encode((source_id, vintage.as_of, changes))).hexdigest()[:16]
    unit = f"{prefix}-{digest}"
    with open_engine() as connection:
        connection.execute(
            "CREATE TEMP TABLE changes (" + ", ".join(f"{name} {kind}" for name, kind in columns.items()) + ")"
        )
        rows = [key + values for key, values in changes]
        insert_columns(connection, "changes", [[row[place] for row in rows] for place in range(len(columns))])
        ledger.add_rollup(
            ROLLUP,
            f"SELECT {fields} FROM changes ORDER BY {', '.join(KEY)}",
            connection,
            unit=unit,
            origin=origin_text(vintage.as_of, vintage.name, vintage.mark),
        )
    return unit


def _expression(column: str, columns: Mapping[str, str], source_id: str) -> str:
    if column == "source_id":
        return "'" + source_id.replace("'", "''") + "'"
    return column if column in columns else "NULL"


def _days(count: int) -> str:
    return f"{count} day{'s' * (count != 1)}"
