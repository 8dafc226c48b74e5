"""OpenRouter's daily tokens by model, as units of the rollup `daily_usage`.

Two spellings of the same series: a CSV `Date,Model,Prompt,Completion,Reasoning,Total_Tokens` in **billions** of
tokens, and the documented `rankings-daily` JSON (`{"data": [{"date", "model_permaslug", "total_tokens"}, ...]}`, or
the bare list), which has totals only: input and output are then null, not zero.

`response_model` is the source's own name in lower case without its variant; `model_variant` is what stood after the
colon, empty for the standard one. Names are not resolved against the catalog here: two dated releases would become
one model, and a cloaked model would be uncloaked, before anybody asked. The study resolves them when it reads.
Source: OpenRouter, https://openrouter.ai/docs/cookbook/administration/data-api
"""

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.ledger.imports import ImportReport
from tidegate.ledger.imports.text import (
    exact_count,
    read_array,
    read_table,
    read_text,
    refuse,
)
from tidegate.ledger.rollup import insert_columns, load_rollup

if TYPE_CHECKING:
    from tidegate.ledger.store import Ledger

TOKENS_PER_CSV_UNIT = 1_000_000_000
ROUNDING_TOKENS_MAX = 2_000  # the CSV prints thousands: prompt and completion may each be off by half of one
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T]00:00(?::00(?:\.0+)?)?(?:Z|\+00:00)?)?")
_COLUMNS = {
    "date": ("date", "day"),
    "model": ("model", "model_permaslug"),
    "prompt": ("prompt", "prompt_tokens"),
    "completion": ("completion", "completion_tokens"),
    "reasoning": ("reasoning", "reasoning_tokens"),
    "total": ("total_tokens", "total"),
}


class Record(msgspec.Struct, frozen=True):
    """Tokens of one model on one UTC day. None: the source does not publish it."""

    day: dt.date
    model: str
    variant: str
    input: int | None
    output: int | None
    reasoning: int | None
    total: int

    @property
    def key(self) -> tuple[dt.date, str, str]:
        return self.day, self.model, self.variant


Place = tuple[Path, int]


def import_openrouter_daily(files: Sequence[Path], ledger: "Ledger", source_id: str) -> ImportReport:
    """Read the files, refuse what contradicts itself or the ledger, add what is new as one unit."""
    told: Counter[str] = Counter()
    found: dict[tuple[dt.date, str, str], tuple[Record, Place]] = {}
    for file in files:
        for record, line in _read(file, told):
            if (other := found.get(record.key)) is not None:
                first, where = other
                problem = "again" if first == record else "again, with other values"
                if where[0] != file and first == record:
                    continue  # two downloads may overlap
                refuse(file, line, f"{_name(record)} stands here {problem}: first at {where[0]}, line {where[1]}")
            found[record.key] = (record, (file, line))
    known = _known(ledger, source_id)
    new: list[Record] = []
    for record, (file, line) in found.values():
        held = known.get(record.key)
        if held is None:
            new.append(record)
        elif held != record:
            refuse(
                file,
                line,
                f"{_name(record)} is {record.total} tokens here and {held.total} in the ledger under source "
                f"{source_id!r}. Published days are restated; import the file under another source name to keep both",
            )
    if new:
        _add(ledger, source_id, new, files)
    return ImportReport(
        format="openrouter-daily",
        source_ids=(source_id,),
        files=len(files),
        read=len(found),
        added=len(new),
        known=len(found) - len(new),
        notes=tuple(f"{text} ({count} record{'s' * (count != 1)})" for text, count in told.items()),
    )


def _read(file: Path, told: Counter[str]) -> Iterator[tuple[Record, int]]:
    text = read_text(file)
    if text.lstrip()[:1] in ("{", "["):
        yield from _read_json(file, text, told)
    else:
        yield from _read_csv(file, text, told)


def _read_csv(file: Path, text: str, told: Counter[str]) -> Iterator[tuple[Record, int]]:
    unmapped, records = read_table(file, text, _COLUMNS, ("date", "model"))
    for line, cells in records:
        for name in unmapped:
            told[f"column {name!r} was not mapped"] += 1
        counts: dict[str, int | None] = {}
        for name in ("prompt", "completion", "reasoning", "total"):
            if cell := cells.get(name):
                counts[name], rounded = exact_count(file, line, name, cell, TOKENS_PER_CSV_UNIT)
                told["a value finer than one token was rounded to the nearest"] += rounded
        prompt, completion, total = counts.get("prompt"), counts.get("completion"), counts.get("total")
        if total is None:
            if prompt is None or completion is None:
                refuse(file, line, "neither a total nor both prompt and completion")
            total = prompt + completion
        elif prompt is not None and completion is not None and abs(total - prompt - completion) > ROUNDING_TOKENS_MAX:
            told["the total is not prompt plus completion; the source's total was kept"] += 1
        reasoning = counts.get("reasoning")
        told["reasoning exceeds completion in the source; kept as published"] += (reasoning or 0) > (completion or 0)
        told["no tokens at all; kept"] += total == 0
        model, variant = split_variant(cells["model"])
        if not model:
            refuse(file, line, "the model has no name")
        yield Record(_day(file, line, cells["date"]), model, variant, prompt, completion, reasoning, total), line
    told += Counter()  # drop what never happened


def _read_json(file: Path, text: str, told: Counter[str]) -> Iterator[tuple[Record, int]]:
    document, items = read_array(file, text, "data")
    meta = document.get("meta")
    if isinstance(meta, dict) and meta.get("as_of"):
        told[f"cite as: Source: OpenRouter (openrouter.ai/rankings), as of {meta['as_of']}"] += len(items)
    for line, item in items:
        yield _json_record(file, line, item), line
        told["only the total is published: input and output are null"] += 1


def _json_record(file: Path, line: int, item: Any) -> Record:
    if not isinstance(item, dict):
        refuse(file, line, "a record must be an object with date, model_permaslug and total_tokens")
    for name in ("date", "model_permaslug", "total_tokens"):
        if not isinstance(item.get(name), (str, int)) or isinstance(item.get(name), bool):
            refuse(file, line, f"the record has no usable {name!r}; it has {', '.join(map(str, item)) or 'nothing'}")
    total, rounded = exact_count(file, line, "total_tokens", str(item["total_tokens"]))
    if rounded:
        refuse(file, line, f"total_tokens is {item['total_tokens']!r}, not a whole number")
    model, variant = split_variant(str(item["model_permaslug"]))
    if not model:
        refuse(file, line, "the model has no name")
    return Record(_day(file, line, str(item["date"])), model, variant, None, None, None, total)


def split_variant(name: str) -> tuple[str, str]:
    """`Author/Model:free` -> (`author/model`, `free`); the variant is empty for the standard one."""
    model, _, variant = name.strip().lower().partition(":")
    return model.strip(), variant.strip()


def _day(file: Path, line: int, text: str) -> dt.date:
    match = _DAY.fullmatch(text.strip())
    try:
        return dt.date.fromisoformat(match[1] if match else "")
    except ValueError:
        refuse(file, line, f"the date is {text[:40]!r}; a day is written 2026-03-23")


def _name(record: Record) -> str:
    return f"{record.day} {record.model}{':' + record.variant if record.variant else ''}"


def _known(ledger: "Ledger", source_id: str) -> dict[tuple[dt.date, str, str], Record]:
    """The records of this source that the ledger already holds."""
    files = [str(file) for file in ledger.rollup_files("daily_usage")]
    if not files:
        return {}
    rows = (
        ledger.connect()
        .execute(
            "SELECT day, response_model, model_variant, usage_input_tokens, usage_output_tokens, "
            "usage_reasoning_output_tokens, total_tokens FROM read_parquet(?, union_by_name = true) "
            "WHERE source_id = ?",
            [files, source_id],
        )
        .fetchall()
    )
    return {record.key: record for record in (Record(*row) for row in rows)}


def _add(ledger: "Ledger", source_id: str, records: list[Record], files: Sequence[Path]) -> None:
    records = sorted(records, key=lambda record: record.key)
    rollup = load_rollup("daily_usage")
    connection = ledger.connect()
    connection.execute(
        "CREATE TEMP TABLE records (day DATE, model VARCHAR, variant VARCHAR, input BIGINT, output BIGINT, "
        "reasoning BIGINT, total BIGINT)"
    )
    insert_columns(
        connection, "records", [[getattr(record, name) for record in records] for name in Record.__struct_fields__]
    )
    given = {
        "source_id": "'" + source_id.replace("'", "''") + "'",
        "day": "day",
        "response_model": "model",
        "model_variant": "variant",
        "usage_input_tokens": "input",
        "usage_output_tokens": "output",
        "usage_reasoning_output_tokens": "reasoning",
        "total_tokens": "total",
    }
    fields = ", ".join(
        f"CAST({given.get(column, 'NULL')} AS {rollup.type_of(column)}) AS {column}" for column in rollup.columns
    )
    digest = hashlib.sha256(msgspec.json.encode((source_id, records))).hexdigest()[:16]
    ledger.add_rollup(
        "daily_usage",
        f"SELECT {fields} FROM records ORDER BY day, model, variant",
        connection,
        unit=f"openrouter-daily-{digest}",
        origin=", ".join(file.name for file in files[:3]) + (", ..." if len(files) > 3 else ""),
    )
