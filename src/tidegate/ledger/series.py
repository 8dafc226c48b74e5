"""Published series that are no calls: sums by author, category, app or provider, typed, with their vintages.

A point is what somebody published about one period and one name (or pair of names). The points of one period that
rank beside each other are a list: a week's authors, a day's providers, one category's authors in one week. Published
lists are restated, and a name may leave the named few for the rest; so a list is replaced as a whole, never name by
name. Every vintage of a list stays in the ledger; `series` shows the newest of each list, `series_vintages` all.

Stored as units of the table `series` in the ledger's manifest, beside the imported units of rollups.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.rollup import insert_columns

if TYPE_CHECKING:
    import duckdb

    from tidegate.ledger.store import Ledger

TABLE: Final = "series"
Kind = Literal["author", "category", "category_author", "app", "app_model", "provider", "client"]
"""What a series names. `category_author` and `app_model` name pairs: one list per category, one per app."""
Grain = Literal["hour", "day", "week", "month", "window"]
"""`window`: a span that the source does not state (a ranking "of the last days"); such points are never added up."""
REST_NAMES: Final = frozenset({"other", "others"})
"""How public lists name the row in which they sum what they do not name."""

COLUMNS: Final[dict[str, str]] = {
    "source_id": "VARCHAR",
    "kind": "VARCHAR",
    "grain": "VARCHAR",
    "week_anchor": "VARCHAR",
    "starts": "TIMESTAMP",
    "category": "VARCHAR",
    "app": "VARCHAR",
    "author": "VARCHAR",
    "provider_name": "VARCHAR",
    "response_model": "VARCHAR",
    "model_variant": "VARCHAR",
    "tenant_id": "VARCHAR",
    "is_rest": "BOOLEAN",
    "calls": "BIGINT",
    "usage_input_tokens": "DECIMAL(38,0)",
    "usage_output_tokens": "DECIMAL(38,0)",
    "usage_reasoning_output_tokens": "DECIMAL(38,0)",
    "total_tokens": "DECIMAL(38,0)",
    "cost_nano_usd": "DECIMAL(38,0)",
    "vintage": "BIGINT",
    "as_of": "TIMESTAMP",
}
"""Names and SQL types of `series`, in order. `day` is added by the views: the UTC date of `starts`."""
MEASURES: Final = (
    "calls",
    "usage_input_tokens",
    "usage_output_tokens",
    "usage_reasoning_output_tokens",
    "total_tokens",
    "cost_nano_usd",
)
NAMES: Final = ("category", "app", "author", "provider_name", "response_model", "model_variant", "tenant_id")
_OUTER: Final[dict[Kind, str]] = {"category_author": "category", "app_model": "app"}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One published value. A name that the kind does not have is empty; a measure that is not published is None.

    starts: when the period begins, UTC, without a zone. total_tokens: input plus output, as published.
    """

    starts: dt.datetime
    category: str = ""
    app: str = ""
    author: str = ""
    provider_name: str = ""
    response_model: str = ""
    model_variant: str = ""
    tenant_id: str = ""
    calls: int | None = None
    usage_input_tokens: int | None = None
    usage_output_tokens: int | None = None
    usage_reasoning_output_tokens: int | None = None
    total_tokens: int | None = None
    cost_nano_usd: int | None = None

    @property
    def name(self) -> tuple[str, ...]:
        return tuple(getattr(self, field) for field in NAMES)

    @property
    def values(self) -> tuple[int | None, ...]:
        return tuple(getattr(self, field) for field in MEASURES)

    @property
    def is_rest(self) -> bool:
        """Whether it stands for all that the list does not name."""
        return bool(REST_NAMES & {self.author, self.response_model, self.provider_name, self.app})


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What the points of one series have in common. week_anchor: weekday on which its weeks begin, else empty."""

    source_id: str
    kind: Kind
    grain: Grain
    week_anchor: str = ""


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What adding did. points: stored now, for the first time; known: held already with these values.

    restated: lists that got a newer vintage; outdated: lists that arrived older than what is held, kept and not used.
    vintage: the highest that was stored; 0 where nothing was.
    """

    points: int
    known: int
    restated: int
    outdated: int
    vintage: int


class _Held(msgspec.Struct):
    """A list as the ledger holds it: when its newest vintage was published, and the values of each vintage."""

    as_of: dt.datetime
    vintages: dict[int, dict[tuple[str, ...], tuple[int | None, ...]]]

    @property
    def newest(self) -> dict[tuple[str, ...], tuple[int | None, ...]]:
        return self.vintages[max(self.vintages)]


ListKey = tuple[dt.datetime, str]  # period, outer name
Values = Mapping[tuple[str, ...], tuple[int | None, ...]]


def add_series(
    ledger: "Ledger", about: About, points: Iterable[Point], *, unit: str, origin: str, as_of: dt.datetime
) -> Added:
    """Add published points as one unit: what is new, and every list that was restated, as a new vintage of it.

    as_of: when the values were published or fetched (UTC, no zone). Points that the newest vintage holds with the
    same values are not stored again. Raises LedgerError for a name that stands twice in one list.
    """
    lists = _by_list(about, points)
    held = _held_lists(ledger, about)
    new: list[tuple[Point, int]] = []
    known = restated = outdated = 0
    for key, members in lists.items():
        old = held.get(key)
        values = {point.name: point.values for point in members}
        if old is None:
            new += [(point, 1) for point in members]
        elif not is_restated(old.newest, values):
            fresh = [point for point in members if point.name not in old.newest]
            new += [(point, max(old.vintages)) for point in fresh]
            known += len(members) - len(fresh)
        elif as_of <= old.as_of and values in old.vintages.values():
            known += len(members)
        elif as_of >= old.as_of:
            new += [(point, max(old.vintages) + 1) for point in members]
            restated += 1
        else:
            new += [(point, min(old.vintages) - 1) for point in members]
            outdated += 1
    if new:
        _store(ledger, about, new, unit=unit, origin=origin, as_of=as_of)
    highest = max((vintage for _, vintage in new), default=0)
    return Added(points=len(new), known=known, restated=restated, outdated=outdated, vintage=highest)


def is_restated(old: Values, new: Values) -> bool:
    """Whether `new` says of any name in common something else; more names alone are an addition."""
    return any(old[name] != values for name, values in new.items() if name in old)


def attach_series(ledger: "Ledger | None", connection: "duckdb.DuckDBPyConnection", *, name: str = TABLE) -> None:
    """Make the views `name` (each list's newest vintage) and `name`_vintages (all) on `connection`.

    Both have COLUMNS and `day`, the UTC date of `starts`. Without a ledger they are empty.
    """
    files = ledger.rollup_files(TABLE) if ledger else []
    columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name}_units ({columns})")
    if files:
        connection.execute(
            f"INSERT INTO {name}_units BY NAME SELECT * FROM read_parquet(?, union_by_name = true, "
            "hive_partitioning = false)",
            [[str(file) for file in files]],
        )
    everything = f"SELECT CAST(starts AS DATE) AS day, * FROM {name}_units"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name}_vintages AS {everything}")
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {name} AS {everything} "
        f"QUALIFY vintage = max(vintage) OVER (PARTITION BY {_list_sql()})"
    )


def _list_sql() -> str:
    """What the points of one list share: category or app only where it is the outer name of a pair."""
    return f"source_id, kind, grain, week_anchor, starts, {_outer_sql()}"


def _outer_sql() -> str:
    cases = " ".join(f"WHEN '{kind}' THEN {column}" for kind, column in _OUTER.items())
    return f"CASE kind {cases} ELSE '' END"


def _outer(kind: Kind, point: Point) -> str:
    column = _OUTER.get(kind)
    return str(getattr(point, column)) if column else ""


def _by_list(about: About, points: Iterable[Point]) -> dict[ListKey, list[Point]]:
    if about.kind not in get_args(Kind):
        raise LedgerError(f"there is no kind of series {about.kind!r}; there are {', '.join(get_args(Kind))}")
    lists: dict[ListKey, list[Point]] = {}
    seen: set[tuple[Any, ...]] = set()
    for point in points:
        if (at := (point.starts, point.name)) in seen:
            shown = " ".join(filter(None, point.name)) or "a point without a name"
            raise LedgerError(f"series {about.source_id!r}: {shown} stands twice in the list of {point.starts}")
        seen.add(at)
        lists.setdefault((point.starts, _outer(about.kind, point)), []).append(point)
    return lists


def _held_lists(ledger: "Ledger", about: About) -> dict[ListKey, _Held]:
    """Every list of this series, with all its vintages."""
    if not ledger.rollup_files(TABLE):
        return {}
    with open_engine() as connection:
        attach_series(ledger, connection)
        rows = connection.execute(
            f"SELECT starts, {_outer_sql()}, vintage, as_of, {', '.join(NAMES + MEASURES)} FROM {TABLE}_vintages "
            "WHERE source_id = ? AND kind = ? AND grain = ? AND week_anchor = ? ORDER BY vintage",
            [about.source_id, about.kind, about.grain, about.week_anchor],
        ).fetchall()
    held: dict[ListKey, _Held] = {}
    for starts, outer, vintage, as_of, *rest in rows:
        item = held.setdefault((starts, outer), _Held(as_of, {}))
        item.as_of = max(item.as_of, as_of)
        values = tuple(None if value is None else int(value) for value in rest[len(NAMES) :])
        item.vintages.setdefault(vintage, {})[tuple(rest[: len(NAMES)])] = values
    return held


def _store(
    ledger: "Ledger",
    about: About,
    points: Sequence[tuple[Point, int]],
    *,
    unit: str,
    origin: str,
    as_of: dt.datetime,
) -> None:
    columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
    common = {
        "source_id": about.source_id,
        "kind": about.kind,
        "grain": about.grain,
        "week_anchor": about.week_anchor,
        "as_of": as_of,
    }
    with open_engine() as connection:
        connection.execute(f"CREATE TEMP TABLE points ({columns})")
        values: list[list[Any]] = []
        for column in COLUMNS:
            if column == "vintage":
                values.append([vintage for _, vintage in points])
            elif column in common:
                values.append([common[column]] * len(points))
            else:
                values.append([getattr(point, column) for point, _ in points])
        insert_columns(connection, "points", values)
        ledger.add_rollup(TABLE, f"SELECT {', '.join(COLUMNS)} FROM points", connection, unit=unit, origin=origin)
