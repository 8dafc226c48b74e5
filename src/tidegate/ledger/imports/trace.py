"""Request traces: one call a line, with its time and its lengths, as rows of the ledger.

Known spellings: the Azure LLM inference traces (CSV `TIMESTAMP,ContextTokens,GeneratedTokens`), the Mooncake traces
(JSON lines `timestamp` in milliseconds, `input_length`, `output_length`) and requests sampled from ServeGen
(`timestamp_s` in seconds, `client_id`, `reason_tokens`). A trace names no model and no price: those columns stay null;
a client is kept as the tenant. A time written as a number is milliseconds, in a column `timestamp_s` seconds; before
ROUGHLY_1973_MS it counts from a start that the trace does not name, and is then placed after 1970-01-01 so that nobody
takes it for a date.
Sources: https://github.com/Azure/AzurePublicDataset, https://github.com/kvcache-ai/Mooncake,
https://github.com/alibaba/ServeGen, checked 2026-11-22.
"""

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidegate.core.ids import gateway_tag, generation_id
from tidegate.core.row import Row
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.text import (
    column_places,
    exact_count,
    parse_json,
    read_table,
    read_text,
    refuse,
)

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

ROUGHLY_1973_MS = 100_000_000_000
NOBODY = "it names no user either: the tenant is null"
RELATIVE = "times count from an unnamed start; placed after 1970-01-01"
_COLUMNS = {
    "timestamp": ("timestamp", "ts", "time", "arrived_at", "arrival_time", "timestamp_s"),
    "input": ("contexttokens", "input_length", "input", "input_tokens", "prompt_tokens", "usage_input_tokens"),
    "output": (
        "generatedtokens",
        "output_length",
        "output",
        "output_tokens",
        "completion_tokens",
        "usage_output_tokens",
    ),
    "client": ("client_id", "client"),
    "reasoning": ("reason_tokens", "reasoning_tokens"),
}
_NEEDED = ("timestamp", "input", "output")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?\s*(Z|[+-]\d\d:?\d\d)?")


class Call(msgspec.Struct, frozen=True):
    """One line: microseconds since 1970 UTC, and tokens. client: empty where the trace names none."""

    ts: int
    input: int
    output: int
    client: str = ""
    reasoning: int | None = None

    @property
    def content(self) -> str:
        more = "" if not self.client and self.reasoning is None else f":{self.client}:{self.reasoning}"
        return f"{self.ts}:{self.input}:{self.output}{more}"


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    return import_trace(files, ledger, options.source_id, progress)


def import_trace(
    files: Sequence[Path], ledger: "Ledger", source_id: str | None, progress: Progress | None
) -> ImportReport:
    """Read every file, then add each as one unit: the unit's name is the content's, so the same file adds nothing."""
    told: Counter[str] = Counter()
    parsed: dict[str, tuple[Path, str, list[Call]]] = {}  # by unit: the same file named twice counts once
    for file in files:
        text = read_text(file)
        source = source_id or f"trace:{file.stem.lower()}"
        digest = hashlib.sha256(f"{source}\n{text}".encode()).hexdigest()
        parsed[f"trace-{digest[:16]}"] = (file, source, list(_read(file, text, told)))
    total = sum(len(calls) for _, _, calls in parsed.values())
    held = {entry.unit for entry in ledger.entries()}
    added = done = 0
    for unit, (file, source, calls) in parsed.items():
        if unit not in held:
            ledger.add_rows(_rows(source, calls), [], unit=unit, origin=file.name)
            added += len(calls)
        done += len(calls)
        if progress:
            progress(done, total)
    return ImportReport(
        format="trace",
        source_ids=tuple(sorted({source for _, source, _ in parsed.values()})),
        files=len(files),
        read=total,
        added=added,
        known=total - added,
        notes=(
            "a trace names no model or price: those columns are null",
            *(() if any(call.client for _, _, calls in parsed.values() for call in calls) else (NOBODY,)),
            *(f"{text} ({count} records)" for text, count in told.items() if count),
        ),
    )


def _read(file: Path, text: str, told: Counter[str]) -> Iterator[Call]:
    is_json = text.lstrip()[:1] == "{"
    for line, cells in _json_lines(file, text, told) if is_json else _csv(file, text, told):
        ts, relative = parse_time(file, line, cells["timestamp"])
        told[RELATIVE] += relative
        reasoning = _whole(file, line, "reasoning", cells["reasoning"]) if cells.get("reasoning") else None
        tokens_out = _whole(file, line, "output", cells["output"])
        if reasoning is not None and reasoning > tokens_out:
            told["reasoning above output: set to null, the call kept"] += 1
            reasoning = None
        tokens_in = _whole(file, line, "input", cells["input"])
        yield Call(ts, tokens_in, tokens_out, cells.get("client", ""), reasoning)


def _csv(file: Path, text: str, told: Counter[str]) -> Iterator[tuple[int, dict[str, str]]]:
    unmapped, records = read_table(file, text, _COLUMNS, _NEEDED)
    in_seconds = _is_in_seconds(text.lstrip("\n\r").partition("\n")[0].split(","))
    for line, cells in records:
        for name in unmapped:
            told[f"column {name!r} was not mapped"] += 1
        yield line, _in_milliseconds(cells) if in_seconds else cells


def _is_in_seconds(names: Iterable[str]) -> bool:
    return "timestamp_s" in (name.strip().lower() for name in names)


def _in_milliseconds(cells: dict[str, str]) -> dict[str, str]:
    text = cells["timestamp"]
    if re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text):
        return {**cells, "timestamp": f"{Decimal(text) * 1000:f}"}
    return cells


def _json_lines(file: Path, text: str, told: Counter[str]) -> Iterator[tuple[int, dict[str, str]]]:
    for line, part in enumerate(text.split("\n"), 1):
        if not part.strip():
            continue
        item = parse_json(file, part, line)
        if not isinstance(item, dict):
            refuse(file, line, "a record must be a JSON object")
        names = list(item)
        places = column_places(file, line, names, _COLUMNS, _NEEDED)
        for name in names:
            if names.index(name) not in places.values():
                told[f"member {name!r} was not mapped"] += 1
        values = {ours: item[names[place]] for ours, place in places.items()}
        for ours, value in values.items():
            if not isinstance(value, (str, int, float)) or isinstance(value, bool):
                refuse(file, line, f"the {ours} is {str(value)[:40]!r}, neither a number nor a text")
        cells = {ours: str(value) for ours, value in values.items()}
        yield line, _in_milliseconds(cells) if _is_in_seconds(names) else cells


def parse_time(file: Path, line: int, text: str) -> tuple[int, bool]:
    """A trace's time as (microseconds since 1970 UTC, whether it counts from an unnamed start). No zone means UTC."""
    if match := _TIME.fullmatch(text):
        day, clock, fraction, zone = match.groups()
        zone = "+00:00" if zone in (None, "Z") else zone
        try:
            whole = dt.datetime.fromisoformat(f"{day}T{clock}{zone}")
        except ValueError as error:
            refuse(file, line, f"the timestamp is {text[:40]!r}: {error}")
        if whole.year < 1970:
            refuse(file, line, f"the timestamp is {text[:40]!r}, before 1970")
        seconds = (whole - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(seconds=1)
        return seconds * 1_000_000 + int((fraction or "0").ljust(6, "0")[:6]), False
    if not re.fullmatch(r"\d{1,15}(\.\d{1,12})?", text):
        refuse(file, line, f"the timestamp is {text[:40]!r}; write 2023-11-16 18:17:03.97996, or milliseconds")
    micros, _ = exact_count(file, line, "the timestamp", text, 1000)
    return micros, micros < ROUGHLY_1973_MS * 1000


def _whole(file: Path, line: int, name: str, text: str) -> int:
    count, rounded = exact_count(file, line, name, text)
    if rounded:
        refuse(file, line, f"{name} is {text[:40]}, not a whole number of tokens")
    return count


def _rows(source_id: str, calls: Sequence[Call]) -> Iterator[Row]:
    """Rows whose ids depend on nothing but source and content: a file that has grown gives its old calls their old ids.

    Calls alike in all three values are numbered, so that none of them is lost.
    """
    tag = gateway_tag(source_id)
    alike: Counter[Call] = Counter()
    for call in calls:
        content = f"{source_id}:{call.content}:{alike[call]}"
        alike[call] += 1
        random = int.from_bytes(hashlib.sha256(content.encode()).digest()[:6], "big")
        yield Row(
            generation_id=generation_id(call.ts // 1000, random >> 36, tag, 0, random),
            ts=call.ts,
            source_id=source_id,
            operation_name="chat",
            usage_input_tokens=call.input,
            usage_output_tokens=call.output,
            usage_reasoning_output_tokens=call.reasoning,
            tenant_id=call.client or None,
            requests=1,
        )
