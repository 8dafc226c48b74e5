"""The relations that rollups read, prepared by DuckDB from sealed files: `rows` and `tags` with derived columns.

rows: the ledger's columns and: day (UTC), list_cost_nano_usd (usage at the list rates of the row's price, rounded once
a call, half up), sample_weight (tag_sample_weight; 1 where that is null or out of range), top_tag_path (the label of
highest confidence, at least one half; ties go to the first path by name). A label that was sealed after its row stands
in the row's place: the newest one wins, column by column.
tags: one row for each call and label: tag_path, tag_rank (1 is the best), tag_count, and the columns of `rows`. A call
that was looked at and got no label has one row, with tag_count 0 and no path.
The connection must hold the table `list_rates` (list_price_id, input_rate, output_rate).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tidegate.core.errors import LedgerError
from tidegate.ledger.schema import files_select, sql_text

CONFIDENCE_PPM_MIN: Final = 500_000  # labels below one half are noise (STUDY.md, 1.7)
SAMPLE_WEIGHT_MAX: Final = 1_000_000  # one labelled call in a million; a larger weight is a mistake
RELATIONS: Final = ("rows", "tags")
_LABEL_COLUMNS: Final = (
    "CAST(NULL AS VARCHAR) AS generation_id, CAST(NULL AS VARCHAR) AS language, "
    "CAST(NULL AS STRUCT(path VARCHAR, confidence_ppm BIGINT)[]) AS task_tags, "
    "CAST(NULL AS BIGINT) AS tag_sample_weight"
)


def bind(sql: str, relation: str, files: Sequence[Path], labels: Sequence[Path] = ()) -> str:
    """The rollup's SQL with its relation in place: over these sealed files of rows and, in order, of labels."""
    if relation not in RELATIONS:
        raise LedgerError(f"no rollup can read from {relation!r}; there are {', '.join(RELATIONS)}")
    prepared = tags_sql(files, labels) if relation == "tags" else rows_sql(files, labels)
    return re.sub(rf"^(\s*FROM) {relation}$", lambda found: f"{found[1]} {prepared}", sql, flags=re.MULTILINE)


def rows_sql(files: Sequence[Path], labels: Sequence[Path] = ()) -> str:
    """`(...) AS rows`."""
    return f"""(
  SELECT labelled.*,
    CASE WHEN tag_sample_weight BETWEEN 1 AND {SAMPLE_WEIGHT_MAX} THEN tag_sample_weight ELSE 1 END AS sample_weight,
    {_paths("task_tags")}[1] AS top_tag_path
  FROM ({_labelled(files, labels)}) AS labelled
) AS rows"""


def tags_sql(files: Sequence[Path], labels: Sequence[Path] = ()) -> str:
    """`(...) AS tags`."""
    return f"""(
  SELECT called.* EXCLUDE (paths),
    unnest(CASE WHEN len(paths) = 0 THEN [CAST(NULL AS VARCHAR)] ELSE paths END) AS tag_path,
    unnest(range(1, greatest(len(paths), 1) + 1)) AS tag_rank,
    CAST(len(paths) AS BIGINT) AS tag_count
  FROM (SELECT *, {_paths("task_tags")} AS paths FROM {rows_sql(files, labels)} WHERE task_tags IS NOT NULL) AS called
) AS tags"""


def _labelled(files: Sequence[Path], labels: Sequence[Path]) -> str:
    """Rows with day and list cost, and with the newest of the labels in place of their own."""
    newest, join = "sealed.*", ""
    if labels:
        columns = ("language", "task_tags", "tag_sample_weight")
        replaced = ", ".join(f"coalesce(label.{column}, sealed.{column}) AS {column}" for column in columns)
        newest = f"sealed.* REPLACE ({replaced})"
        join = f"LEFT JOIN ({_newest_labels(labels)}) AS label ON label.generation_id = sealed.generation_id"
    return f"""SELECT {newest},
    CAST(make_timestamp(ts) AS DATE) AS day,
    CAST((CAST(usage_input_tokens AS HUGEINT) * list_rates.input_rate
      + CAST(usage_output_tokens AS HUGEINT) * list_rates.output_rate + 500000) // 1000000 AS DECIMAL(38, 0))
      AS list_cost_nano_usd
  FROM ({files_select("rows", [str(file) for file in files])}) AS sealed
  LEFT JOIN list_rates ON list_rates.list_price_id = sealed.price_id {join}"""


def _newest_labels(labels: Sequence[Path]) -> str:
    """One row per labelled call: the last label in the last file that has one."""
    listed = "[" + ", ".join(sql_text(str(file)) for file in labels) + "]"
    return (
        "SELECT generation_id, language, task_tags, tag_sample_weight FROM ("
        f"SELECT * FROM read_parquet({listed}, union_by_name = true, hive_partitioning = false, filename = true, "
        f"file_row_number = true) UNION ALL BY NAME SELECT {_LABEL_COLUMNS} WHERE false) "
        "QUALIFY row_number() OVER (PARTITION BY generation_id ORDER BY "
        f"list_position({listed}, filename) DESC, file_row_number DESC) = 1"
    )


def _paths(tags: str) -> str:
    """SQL: the paths of labels that count, best first, each once."""
    strong = f"list_filter({tags}, lambda tag: tag.confidence_ppm >= {CONFIDENCE_PPM_MIN})"
    ranked = f"list_sort(list_transform({strong}, lambda tag: {{'weak': -tag.confidence_ppm, 'path': tag.path}}))"
    paths = f"list_transform({ranked}, lambda tag: tag.path)"
    return f"list_filter({paths}, lambda path, place: list_position({paths}, path) = place)"
