"""ServeGen's load by client as a series of kind `client`: how many calls and tokens a client made in an interval.

Two spellings: windows of ten minutes (`client_id, window_start_s, rate_rps, ...`), of which only the rate is a number
of calls, summed here to hours; and sums of six hours (`client_id, period_start_s, requests, mean_input_tokens,
mean_output_tokens, mean_reason_ratio`), summed to days, tokens being requests times the mean. Seconds count from a
start that the trace does not name: they are placed after 1970-01-01 so that nobody takes them for dates. Requests
sampled from the trace come in with the format `trace`.
Source: https://github.com/alibaba/ServeGen, checked 2026-11-22.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.ledger.imports.published_days import counted_notes, fingerprint, origin_text, when_published
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.text import NUMBER, read_table, read_text, refuse
from tidegate.ledger.series import About, Grain, Point, add_series

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

WINDOW_S: Final = 600
_COLUMNS: Final = {
    "client": ("client_id", "client"),
    "workload": ("workload",),
    "start": ("window_start_s", "period_start_s"),
    "rate": ("rate_rps", "rate"),
    "requests": ("requests",),
    "input": ("mean_input_tokens",),
    "output": ("mean_output_tokens",),
    "reason": ("mean_reason_ratio",),
}
_SECONDS: Final[dict[Grain, int]] = {"hour": 3600, "day": 86_400}
_NO_MEAN = "the mean lengths are not given: calls counted, tokens unknown, and so is their sum"


class Sum(msgspec.Struct):
    """Calls and tokens of one client in one interval; exact until rounded once. None: unknown for some of it."""

    calls: Decimal = Decimal(0)
    input: Decimal | None = Decimal(0)
    output: Decimal | None = Decimal(0)
    reasoning: Decimal | None = Decimal(0)


Sums = dict[tuple[str, str, int], Sum]


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    told: Counter[str] = Counter()
    read = added = known = restated = 0
    sources: set[str] = set()
    unit = ""
    sheets = [(file, *_read(file, told)) for file in files]
    for file, grain, lines, sums in sheets:
        read += lines
        for workload in sorted({key[0] for key in sums}):
            source = options.source_id or f"{format}:{workload or file.stem.lower()}"
            points = [_point(key, item, grain) for key, item in sorted(sums.items()) if key[0] == workload]
            about = About(source_id=source, kind="client", grain=grain)
            digest = hashlib.sha256(msgspec.json.encode((about, points))).hexdigest()[:16]
            name = f"{format}-{digest}"
            mark = fingerprint(source, file)
            as_of = when_published(ledger, mark, options.as_of)
            origin = origin_text(as_of, file.name, mark)
            done = add_series(ledger, about, points, unit=name, origin=origin, as_of=as_of)
            added, known, restated = added + done.points, known + done.known, restated + done.restated
            sources.add(source)
            unit = unit or (name if done.points else "")
    return ImportReport(
        format=format,
        source_ids=tuple(sorted(sources)),
        files=len(files),
        read=read,
        added=added,
        known=known,
        restated=restated,
        unit=unit,
        notes=(
            "times count from an unnamed start; placed after 1970-01-01",
            "a client is an anonymous one of the trace; it names no model, price or country",
            *counted_notes(told),
        ),
    )


def _read(file: Path, told: Counter[str]) -> tuple[Grain, int, Sums]:
    text = read_text(file)
    unmapped, records = read_table(file, text, _COLUMNS, ("client", "start"))
    sums: Sums = {}
    grain: Grain = "day"
    count = 0
    for line, cells in records:
        count += 1
        for name in unmapped:
            told[f"column {name!r} was not mapped"] += 1
        start = _number(file, line, "start", cells["start"])
        if "rate" in cells:
            grain = "hour"
            one = _window(file, line, cells)
        elif "requests" in cells:
            one = _period(file, line, cells, told)
        else:
            refuse(file, line, "neither a rate (rate_rps) nor a number of requests")
        interval = int(start) // _SECONDS[grain]
        held = sums.setdefault((cells.get("workload", ""), cells["client"], interval), Sum())
        held.calls += one.calls
        held.input = _plus(held.input, one.input)
        held.output = _plus(held.output, one.output)
        held.reasoning = _plus(held.reasoning, one.reasoning)
    told["windows of ten minutes were summed to hours; calls are rate times 600 s"] += count * (grain == "hour")
    told["periods of six hours were summed to days; tokens are requests times their mean"] += count * (grain == "day")
    return grain, count, sums


def _window(file: Path, line: int, cells: dict[str, str]) -> Sum:
    return Sum(_number(file, line, "rate", cells["rate"]) * WINDOW_S, None, None, None)


def _period(file: Path, line: int, cells: dict[str, str], told: Counter[str]) -> Sum:
    calls = _number(file, line, "requests", cells["requests"])
    means = [_number(file, line, name, cells[name]) if cells.get(name) else None for name in ("input", "output")]
    ratio = _number(file, line, "reason", cells["reason"]) if cells.get("reason") else None
    told[_NO_MEAN] += means[0] is None or means[1] is None
    tokens_in, tokens_out = (None if mean is None else calls * mean for mean in means)
    return Sum(calls, tokens_in, tokens_out, None if tokens_out is None or ratio is None else tokens_out * ratio)


def _plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _point(key: tuple[str, str, int], item: Sum, grain: Grain) -> Point:
    tokens_in, tokens_out = _whole(item.input), _whole(item.output)
    return Point(
        starts=dt.datetime(1970, 1, 1) + dt.timedelta(seconds=key[2] * _SECONDS[grain]),
        tenant_id=key[1],
        calls=_whole(item.calls),
        usage_input_tokens=tokens_in,
        usage_output_tokens=tokens_out,
        usage_reasoning_output_tokens=_whole(item.reasoning),
        total_tokens=None if tokens_in is None or tokens_out is None else tokens_in + tokens_out,
    )


def _whole(number: Decimal | None) -> int | None:
    return None if number is None else int(number.to_integral_value(ROUND_HALF_EVEN))


def _number(file: Path, line: int, name: str, text: str) -> Decimal:
    if not NUMBER.fullmatch(text) or Decimal(text) < 0:
        refuse(file, line, f"the {name} is {text[:40]!r}, not a number from 0 on")
    return Decimal(text)
