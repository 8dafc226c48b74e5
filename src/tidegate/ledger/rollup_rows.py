"""The relations that rollups read, prepared by DuckDB from sealed files: `rows` and `tags` with derived columns.

rows: the ledger's columns and: day (UTC), list_cost_nano_usd (usage at the list rates of the row's price, rounded once
a call, half up), sample_weight (tag_sample_weight; 1 where that is null or out of range), top_tag_path (the label of
highest confidence, at least one half; ties go to the first path by name). A label that was sealed after its row stands
in the row's place, column by column where it says something. A negative count of tokens is no count: it is null here,
as if the source had not said; `ledger/oddities.py` counts such rows.
tags: one row for each call and label: tag_path, tag_rank (1 is the best), tag_count, and the columns of `rows`. A call
that was looked at and got no label has one row, with tag_count 0 and no path.
For list costs the connection must hold the table `list_rates` (list_price_id, input_rate, output_rate).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tidegate.core.errors import LedgerError
from tidegate.ledger.schema import files_select

CONFIDENCE_PPM_MIN: Final = 500_000  # labels below one half are noise (STUDY.md, 1.7)
SAMPLE_WEIGHT_MAX: Final = 1_000_000  # one labelled call in a million; a larger weight is a mistake
RELATIONS: Final = ("rows", "tags")
TOKEN_COLUMNS: Final = (
    "usage_input_tokens",
    "usage_output_tokens",
    "usage_cache_read_input_tokens",
    "usage_cache_creation_input_tokens",
    "usage_reasoning_output_tokens",
)
LABEL_COLUMNS: Final = ("language", "task_tags", "tag_sample_weight")


def bind(sql: str, relation: str, files: Sequence[Path], labels: Sequence[Path] = ()) -> str:
    """The rollup's SQL with its relation in place: over these sealed files of rows and of later labels."""
    if relation not in RELATIONS:
        raise LedgerError(f"no rollup can read from {relation!r}; there are {', '.join(RELATIONS)}")
    rows = rows_sql(files, labels, priced="list_cost_nano_usd" in sql)
    prepared = tags_sql(rows) if relation == "tags" else rows
    return re.sub(rf"^(\s*FROM) {relation}$", lambda found: f"{found[1]} {prepared}", sql, flags=re.MULTILINE)


def rows_sql(files: Sequence[Path], labels: Sequence[Path] = (), *, priced: bool = True) -> str:
    """`(...) AS rows`. priced: with list_cost_nano_usd."""
    return f"""(
  SELECT labelled.*,
    CASE WHEN tag_sample_weight BETWEEN 1 AND {SAMPLE_WEIGHT_MAX} THEN tag_sample_weight ELSE 1 END AS sample_weight,
    {_paths("task_tags")}[1] AS top_tag_path
  FROM ({_labelled(files, labels, priced=priced)}) AS labelled
) AS rows"""


def tags_sql(rows: str) -> str:
    """`(...) AS tags`. rows: the relation that `rows_sql` gives."""
    return f"""(
  SELECT called.* EXCLUDE (paths),
    unnest(CASE WHEN len(paths) = 0 THEN [CAST(NULL AS VARCHAR)] ELSE paths END) AS tag_path,
    unnest(range(1, greatest(len(paths), 1) + 1)) AS tag_rank,
    CAST(len(paths) AS BIGINT) AS tag_count
  FROM (SELECT *, {_paths("task_tags")} AS paths FROM {rows} WHERE task_tags IS NOT NULL) AS called
) AS tags"""


def _labelled(files: Sequence[Path], labels: Sequence[Path], *, priced: bool) -> str:
    """Rows with day and list cost, and with later labels in place of their own."""
    counts = {name: f"CASE WHEN sealed.{name} >= 0 THEN sealed.{name} END" for name in TOKEN_COLUMNS}
    replaced = [f"{sql} AS {name}" for name, sql in counts.items()]
    derived, joins = ["CAST(make_timestamp(ts) AS DATE) AS day"], ""
    if labels:
        replaced += [f"coalesce(label.{name}, sealed.{name}) AS {name}" for name in LABEL_COLUMNS]
        joins += f"LEFT JOIN ({_labels(labels)}) AS label ON label.generation_id = sealed.generation_id "
    if priced:
        derived.append(
            f"CAST((CAST({counts['usage_input_tokens']} AS HUGEINT) * list_rates.input_rate "
            f"+ CAST({counts['usage_output_tokens']} AS HUGEINT) * list_rates.output_rate + 500000) // 1000000 "
            "AS DECIMAL(38, 0)) AS list_cost_nano_usd"
        )
        joins += "LEFT JOIN list_rates ON list_rates.list_price_id = sealed.price_id"
    return f"""SELECT sealed.* REPLACE ({", ".join(replaced)}), {", ".join(derived)}
  FROM ({files_select("rows", [str(file) for file in files])}) AS sealed {joins}"""


def _labels(files: Sequence[Path]) -> str:
    """One row per labelled call. Sealing admits one label a call; should a copied file bring another, one counts."""
    sealed = files_select("labels", [str(file) for file in files])
    return (
        f"SELECT generation_id, {', '.join(LABEL_COLUMNS)} FROM ({sealed}) "
        "QUALIFY row_number() OVER (PARTITION BY generation_id ORDER BY labeller NULLS LAST) = 1"
    )


def _paths(tags: str) -> str:
    """SQL: the paths of labels that count, best first, each once."""
    strong = f"list_filter({tags}, lambda tag: tag.confidence_ppm >= {CONFIDENCE_PPM_MIN})"
    ranked = f"list_sort(list_transform({strong}, lambda tag: {{'weak': -tag.confidence_ppm, 'path': tag.path}}))"
    paths = f"list_transform({ranked}, lambda tag: tag.path)"
    return f"list_filter({paths}, lambda path, place: list_position({paths}, path) = place)"
