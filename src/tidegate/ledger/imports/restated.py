"""What a source restated: every published value of which the ledger holds more than one vintage."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tidegate.ledger.imports.daily import KEY, ROLLUP
from tidegate.ledger.imports.published_days import published
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.series import attach_series

if TYPE_CHECKING:
    from tidegate.ledger.store import Ledger


class Restated(msgspec.Struct, frozen=True, kw_only=True):
    """One value in one vintage. tokens: as published then; None where the list no longer named it, or says none.

    list: the day or week, with category or app. name: who or what. as_of: when it was published, UTC.
    """

    source_id: str
    list: str
    name: str
    as_of: dt.datetime
    tokens: int | None
    newest: bool


def restated(ledger: "Ledger", source_id: str | None = None) -> list[Restated]:
    """Values with more than one vintage, by source, list, name and time; of one source, or of all."""
    found = [*_daily(ledger), *_series(ledger)]
    return sorted(
        (item for item in found if source_id is None or item.source_id == source_id),
        key=lambda item: (item.source_id, item.list, item.name, item.as_of),
    )


def _daily(ledger: "Ledger") -> list[Restated]:
    """Units hold differences: a vintage's value is the sum of the differences up to it."""
    units = {
        str(ledger.path / file.path): published(entry.origin, entry.created)
        for entry in ledger.entries()
        if entry.kind == "rollup"
        for file in entry.files
        if file.table == ROLLUP
    }
    if not units:
        return []
    names = ", ".join(KEY)
    with open_engine() as connection:
        rows = connection.execute(
            f"WITH steps AS (SELECT source_id, {names}, filename, total_tokens, count(DISTINCT filename) OVER "
            f"(PARTITION BY source_id, {names}) AS steps FROM read_parquet(?, union_by_name = true, filename = true, "
            f"hive_partitioning = false)) SELECT source_id, {names}, filename, total_tokens FROM steps WHERE steps > 1",
            [list(units)],
        ).fetchall()
    groups: dict[tuple[object, ...], list[tuple[dt.datetime, int]]] = {}
    for source, *key, file, tokens in rows:
        groups.setdefault((source, *key), []).append((units[file], int(tokens or 0)))
    found = []
    for (source, day, model, variant, provider, _), steps in groups.items():
        value = 0
        shown = " ".join(map(str, filter(None, (f"{model}:{variant}" if variant else model, provider))))
        ordered = sorted(steps, key=lambda step: step[0])
        for number, (as_of, difference) in enumerate(ordered, 1):
            value += difference
            found.append(
                Restated(
                    source_id=str(source),
                    list=str(day),
                    name=shown,
                    as_of=as_of,
                    tokens=value,
                    newest=number == len(ordered),
                )
            )
    return found


def _series(ledger: "Ledger") -> list[Restated]:
    with open_engine() as connection:
        attach_series(ledger, connection)
        rows: Sequence[tuple[object, ...]] = connection.execute(
            "WITH all_lists AS (SELECT source_id, kind, CAST(day AS VARCHAR) || CASE kind WHEN 'category_author' THEN "
            "' ' || category WHEN 'app_model' THEN ' ' || app ELSE '' END AS list, week_anchor, grain, "
            "trim(CASE WHEN kind IN ('category_author', 'author') THEN author WHEN kind = 'category' THEN category "
            "WHEN kind = 'app' THEN app WHEN kind = 'app_model' THEN response_model || "
            "CASE WHEN model_variant = '' THEN '' ELSE ':' || model_variant END "
            "WHEN kind = 'provider' THEN provider_name ELSE tenant_id END) AS name, vintage, as_of, total_tokens, "
            "max(vintage) OVER lists AS newest, min(vintage) OVER lists AS oldest FROM series_vintages WINDOW lists AS "
            "(PARTITION BY source_id, kind, grain, week_anchor, starts, CASE kind WHEN 'category_author' THEN category "
            "WHEN 'app_model' THEN app ELSE '' END)) "
            "SELECT source_id, list, name, as_of, total_tokens, vintage = newest FROM all_lists WHERE newest > oldest"
        ).fetchall()
    return [
        Restated(
            source_id=str(source),
            list=str(where),
            name=str(name),
            as_of=as_of if isinstance(as_of, dt.datetime) else dt.datetime.min,
            tokens=None if tokens is None else int(str(tokens)),
            newest=bool(newest),
        )
        for source, where, name, as_of, tokens, newest in rows
    ]
