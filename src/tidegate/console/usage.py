"""What keys and tenants have used: sealed rollups plus the rows that are not sealed yet, so that a call shows at once.

The files of the rollup `daily_key` are brought up to date when something was sealed since, and asked for what is wanted
of them; of the journal only the bytes that are new are read. So memory does not grow with the number of calls.
"""

import datetime
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.core.row import Outcome, Row
from tidegate.ledger.journal import LINE_BYTES_MAX, journal_files, parse_line, segment_of
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.rollup import attach, unit_files
from tidegate.ledger.rollup_runs import read_units
from tidegate.ledger.store import Ledger

if TYPE_CHECKING:
    import duckdb

OWN: Final = "own"
"""The rows of this gateway. Imported and composed ledgers are nobody's bill here."""
ROLLUP: Final = "daily_key"
READS_MAX: Final = 5
"""How often a rollup is read again because a segment was sealed meanwhile."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What was used on one UTC day by one key at one endpoint. Unknown counts are 0, unknown costs are not charged."""

    day: datetime.date
    tenant_id: str | None
    project_id: str | None
    key_id: str | None
    model: str | None
    provider_name: str | None
    endpoint_id: str | None
    is_byok: bool
    calls: int
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_nano_usd: int
    upstream_cost_nano_usd: int


_Place = tuple[datetime.date, str | None, str | None, str | None, str | None, str | None, str | None, bool]
_COLUMNS: Final = (
    "day, tenant_id, project_id, key_id, response_model, provider_name, endpoint_id, coalesce(is_byok, false)"
)
_MEASURES: Final = (
    "calls",
    "usage_input_tokens",
    "usage_output_tokens",
    "usage_reasoning_output_tokens",
    "cost_nano_usd",
    "upstream_cost_nano_usd",
)


Keys = str | frozenset[str] | None
"""Whose usage is asked: one key's, some keys', or all."""


class _Tail:
    """What one journal segment holds so far: sums by place, and how far they have been read."""

    def __init__(self) -> None:
        self.read_bytes = 0
        self.sums: dict[_Place, list[int]] = {}

    def read_on(self, path: Path) -> None:
        """Take in the whole lines that are new. Raises FileNotFoundError where the segment was sealed since."""
        with path.open("rb") as file:
            file.seek(self.read_bytes)
            while line := file.readline(LINE_BYTES_MAX):
                if not line.endswith(b"\n"):
                    break
                self.read_bytes += len(line)
                item = parse_line(line)
                if isinstance(item, Outcome) and item.row.source_id == OWN:
                    self._add(item.row)

    def _add(self, row: Row) -> None:
        held = self.sums.setdefault(_place(row), [0] * len(_MEASURES))
        held[0] += 1
        for at, name in enumerate(_MEASURES[1:], 1):
            value = getattr(row, name) or 0
            if value > 0 or not name.startswith("usage"):  # a negative count is no count, as in the rollup
                held[at] += value


class UsageReader:
    """Reads the usage of one ledger again and again, from any thread."""

    def __init__(self) -> None:
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._relation: str | None = None  # what sealed usage is read from; None: nothing is sealed
        self._entries_read = -1
        self._sealed: set[str] = set()
        self._tails: dict[str, _Tail] = {}
        self._reading = threading.Lock()

    def read(
        self, ledger: Ledger, tenant_id: str, *, key_id: Keys = None, since: datetime.date | None = None
    ) -> list[Line]:
        """Usage of a tenant, or of keys of it, from a day on. Raises LedgerError where a file cannot be read."""
        with self._reading:
            self._read_tails(ledger)
            self._read_sealed(ledger)
            sums: dict[_Place, list[int]] = {}
            try:
                self._add_sealed(sums, tenant_id, key_id, since)
            except LedgerError:  # another process has put merged files in the place of these: once more, with those
                sums, self._entries_read = {}, -1
                self._read_sealed(ledger)
                self._add_sealed(sums, tenant_id, key_id, since)
            for segment, tail in self._tails.items():
                if segment not in self._sealed:
                    for place, values in tail.sums.items():
                        if _is_wanted(place, tenant_id, key_id, since):
                            _add(sums, place, values)
        return [
            _line(place, values) for place, values in sorted(sums.items(), key=lambda item: tuple(map(str, item[0])))
        ]

    def _read_tails(self, ledger: Ledger) -> None:
        """Before what is sealed: a segment that is sealed in between is then known as such, and not counted twice."""
        found = {}
        for path in journal_files(ledger.journal_path):
            segment = segment_of(path)
            tail = self._tails.get(segment, _Tail())
            try:
                tail.read_on(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise LedgerError(f"journal {path} cannot be read: {error.strerror}") from error
            found[segment] = tail
        self._tails = found

    def _read_sealed(self, ledger: Ledger) -> None:
        for _ in range(READS_MAX):
            entries = ledger.entries()
            if len(entries) == self._entries_read:
                return
            self._engine = self._engine or open_engine()
            files = unit_files(ledger, self._engine, ROLLUP)
            if files is None:
                attach(ledger, self._engine, ROLLUP)
            self._relation = ROLLUP if files is None else f"({read_units(files)})" if files else None
            self._entries_read = len(entries)
            self._sealed = {entry.unit for entry in entries if entry.kind == "segment"}
            if len(ledger.entries()) == len(entries):  # else the table may hold more than `_sealed` says
                return
        raise LedgerError("the ledger is being sealed too fast to be summed; ask again in a moment")

    def _add_sealed(
        self, sums: dict[_Place, list[int]], tenant_id: str, key_id: Keys, since: datetime.date | None
    ) -> None:
        import duckdb

        if self._engine is None or self._relation is None:
            return
        measures = ", ".join(f"CAST(sum(coalesce({name}, 0)) AS HUGEINT)" for name in _MEASURES)
        where, values = "source_id = ? AND tenant_id = ?", [OWN, tenant_id]
        if key_id is not None:
            ids = sorted(_ids(key_id))
            where, values = f"{where} AND key_id IN ({', '.join('?' * len(ids)) or 'NULL'})", [*values, *ids]
        if since is not None:
            where, values = f"{where} AND day >= CAST(? AS DATE)", [*values, since.isoformat()]
        query = f"SELECT {_COLUMNS}, {measures} FROM {self._relation} WHERE {where} GROUP BY ALL"
        try:
            rows = self._engine.execute(query, values).fetchall()
        except duckdb.Error as error:
            raise LedgerError(f"usage cannot be summed: {str(error).splitlines()[0]}") from error
        width = len(_MEASURES)
        for row in rows:
            _add(sums, row[:-width], [int(value) for value in row[-width:]])


def _place(row: Row) -> _Place:
    day = datetime.datetime.fromtimestamp(row.ts // 1_000_000, datetime.UTC).date()
    who = (row.tenant_id, row.project_id, row.key_id)
    return (day, *who, row.response_model, row.provider_name, row.endpoint_id, bool(row.is_byok))


def _ids(keys: str | frozenset[str]) -> frozenset[str]:
    return frozenset((keys,)) if isinstance(keys, str) else keys


def _is_wanted(place: _Place, tenant_id: str, key_id: Keys, since: datetime.date | None) -> bool:
    return (
        place[1] == tenant_id and (key_id is None or place[3] in _ids(key_id)) and (since is None or place[0] >= since)
    )


def _add(sums: dict[_Place, list[int]], place: _Place, values: Sequence[int]) -> None:
    held = sums.get(place)
    sums[place] = list(values) if held is None else [one + other for one, other in zip(held, values, strict=True)]


def _line(place: _Place, values: Sequence[int]) -> Line:
    day, tenant_id, project_id, key_id, model, provider_name, endpoint_id, is_byok = place
    calls, input_tokens, output_tokens, reasoning_tokens, cost, upstream_cost = values
    return Line(
        day=day,
        tenant_id=tenant_id,
        project_id=project_id,
        key_id=key_id,
        model=model,
        provider_name=provider_name,
        endpoint_id=endpoint_id,
        is_byok=is_byok,
        calls=calls,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        reasoning_tokens=reasoning_tokens,
        cost_nano_usd=cost,
        upstream_cost_nano_usd=upstream_cost,
    )


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """Nano-USD in all, and on the UTC day, week (from Monday) and month of `today`."""

    total: int = 0
    day: int = 0
    week: int = 0
    month: int = 0


def spending(lines: Iterable[Line], today: datetime.date, *, byok: bool = False) -> Spending:
    """What was charged; or, of calls that the caller's own provider key paid for, what the provider charged."""
    monday = today - datetime.timedelta(days=today.weekday())
    found = {"total": 0, "day": 0, "week": 0, "month": 0}
    for line in lines:
        amount = line.upstream_cost_nano_usd if byok else line.cost_nano_usd
        if byok and not line.is_byok:
            continue
        found["total"] += amount
        if line.day > today:
            continue
        found["day"] += amount * (line.day == today)
        found["week"] += amount * (line.day >= monday)
        found["month"] += amount * (line.day >= today.replace(day=1))
    return Spending(**found)
