"""One unit of a rollup as a sealed file: written from a query, compared with what was sealed before."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core.errors import LedgerError
from tidegate.ledger.manifest import SealedFile
from tidegate.ledger.parquet import Part, make_folder, sha256_of
from tidegate.ledger.schema import sql_text

if TYPE_CHECKING:
    import duckdb


def copy_rollup(root: Path, rollup: str, unit: str, select_sql: str, connection: "duckdb.DuckDBPyConnection") -> Part:
    """Write the query's rows to a hidden file. Raises LedgerError where the query or the disk fails."""
    import duckdb

    folder = root / "rollups" / rollup
    name = f"{unit}.parquet"
    hidden = folder / f".{name}.{os.getpid()}.tmp"
    try:
        make_folder(folder)
        copied = connection.execute(
            f"COPY ({select_sql}) TO {sql_text(str(hidden))} (FORMAT parquet, COMPRESSION zstd)"
        ).fetchone()
    except OSError as error:
        raise LedgerError(f"{folder / name} cannot be written: {error.strerror}") from error
    except duckdb.Error as error:
        raise LedgerError(f"rollup {rollup}, unit {unit}: {error}") from error
    file = SealedFile(
        path=f"rollups/{rollup}/{name}",
        table=rollup,
        day="",
        rows=int(copied[0]) if copied else 0,
        bytes=hidden.stat().st_size,
        sha256=sha256_of(hidden),
    )
    return Part(hidden, file)


def same_rollup(connection: "duckdb.DuckDBPyConnection", one: Path, other: Path) -> bool:
    """Whether two files hold the same columns and the same multiset of rows."""
    first, second = (f"SELECT * FROM read_parquet([{sql_text(str(path))}])" for path in (one, other))
    shapes = [[row[:2] for row in connection.execute(f"DESCRIBE {query}").fetchall()] for query in (first, second)]
    if shapes[0] != shapes[1]:
        return False
    counts = connection.execute(
        f"SELECT (SELECT count(*) FROM ({first} EXCEPT ALL {second})), "
        f"(SELECT count(*) FROM ({second} EXCEPT ALL {first}))"
    ).fetchone()
    return counts == (0, 0)
