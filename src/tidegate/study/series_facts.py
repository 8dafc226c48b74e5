"""Published series that are no calls, as sources of a study: the table `series`, and authors' sums among the facts.

One source of a study is one kind of list: a name under which an import holds several (by author and by category, or
weeks that begin on Sunday beside weeks that begin on Monday) is several sources, told apart by a suffix, so that
overlapping lists are never added up.
"""

import datetime as dt
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.rollup import insert_columns
from tidegate.ledger.series import attach_series
from tidegate.study.authors import Makers
from tidegate.study.params import Measure
from tidegate.study.periods import ONE_DAY, Anchor

if TYPE_CHECKING:
    import duckdb

    from tidegate.ledger.store import Ledger

MEASURE_COLUMNS: Final[Mapping[Measure, str]] = {
    "tokens": "total_tokens",
    "calls": "calls",
    "spend": "cost_nano_usd",
}


class PublishedSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of list under one name.

    kind, grain: as in `ledger/series.py`. anchor: first weekday of its weeks. first, last: days on which its first and
    last period begin. restated: how many of its lists the source has published anew.
    """

    source_id: str
    kind: str
    grain: str
    anchor: Anchor
    first: dt.date
    last: dt.date
    measures: tuple[Measure, ...]
    restated: int

    @property
    def last_day(self) -> dt.date:
        """The last day that its last period covers, as far as that is stated."""
        if self.grain == "week":
            return self.last + 6 * ONE_DAY
        if self.grain == "month":
            return (self.last.replace(day=1) + 31 * ONE_DAY).replace(day=1) - ONE_DAY
        return self.last

    def notes(self) -> str:
        text = f"Lists by {self.kind.replace('_', ' and ')}, one a {self.grain}"
        text += f" beginning on {self.anchor.capitalize()}." if self.grain == "week" else "."
        if self.restated:
            text += f" {self.restated} of them were restated by the source; the newest is used, the older are kept."
        return text


def load_series(ledger: "Ledger | None", connection: "duckdb.DuckDBPyConnection") -> tuple[PublishedSeries, ...]:
    """Make the table `series` (newest vintages; `source_id` as the study names it), and say what is in it."""
    import duckdb

    try:
        attach_series(ledger, connection, name="published")
    except duckdb.Error as error:
        where = f"ledger {ledger.path}: " if ledger else ""
        raise LedgerError(
            f"{where}its published series cannot be read: {str(error).splitlines()[0]} "
            "(`tidegate ledger verify` names what is wrong)"
        ) from error
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE series AS WITH kinds AS (SELECT DISTINCT source_id, kind, grain, week_anchor "
        "FROM published), counted AS (SELECT *, min(kind) OVER of_source <> max(kind) OVER of_source AS several, "
        "count(*) OVER (PARTITION BY source_id, kind) AS alike FROM kinds "
        "WINDOW of_source AS (PARTITION BY source_id)) "
        "SELECT published.* REPLACE (source_id || CASE WHEN several THEN '~' || kind ELSE '' END || "
        "CASE WHEN alike > 1 THEN '~' || CASE WHEN week_anchor = '' THEN grain ELSE week_anchor END ELSE '' END "
        "AS source_id) FROM published JOIN counted USING (source_id, kind, grain, week_anchor)"
    )
    rows = connection.execute(
        "SELECT source_id, kind, grain, week_anchor, min(day), max(day), count(total_tokens) > 0, count(calls) > 0, "
        "count(cost_nano_usd) > 0, count(DISTINCT CASE WHEN vintage > 1 THEN (starts, CASE kind WHEN "
        "'category_author' THEN category WHEN 'app_model' THEN app ELSE '' END) END) FROM series GROUP BY ALL "
        "ORDER BY source_id"
    ).fetchall()
    known: dict[str, Anchor] = {name: name for name in get_args(Anchor)}
    return tuple(
        PublishedSeries(
            source_id=source_id,
            kind=kind,
            grain=grain,
            anchor=known.get(anchor, "monday"),
            first=first,
            last=last,
            measures=tuple(itertools.compress(get_args(Measure), has)),
            restated=restated,
        )
        for source_id, kind, grain, anchor, first, last, *has, restated in rows
    )


def add_authors(connection: "duckdb.DuckDBPyConnection", makers: Makers) -> None:
    """Add the series by author, day or week, to the table `facts`. Their weights are not known: authors have both."""
    names = connection.execute("SELECT DISTINCT author FROM series WHERE kind = 'author' ORDER BY 1").fetchall()
    authors = [name for (name,) in names]
    found = [makers.of_author(author, "unknown") for author in authors]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE series_makers (name VARCHAR, author VARCHAR, origin VARCHAR, weights VARCHAR)"
    )
    columns: list[list[Any]] = [
        authors,
        *([getattr(maker, field) for maker in found] for field in ("author", "origin", "weights")),
    ]
    insert_columns(connection, "series_makers", columns)
    connection.execute(
        "INSERT INTO facts BY NAME SELECT source_id, CASE grain WHEN 'week' THEN 'weekly' ELSE 'daily' END AS kind, "
        "day, model_variant AS variant, made.author, origin, weights, total_tokens AS tokens, calls, "
        "cost_nano_usd AS spend FROM series JOIN series_makers AS made ON made.name = series.author "
        "WHERE kind = 'author' AND grain IN ('day', 'week')"
    )
