"""OpenRouter's daily tokens by model, as units of the rollup `daily_usage`.

Three spellings of the same series: a CSV `Date,Model,Prompt,Completion,Reasoning,Total_Tokens` in **billions** of
tokens; a CSV of the rankings page with requests, `usage_date,model_permaslug,variant,count,total_prompt_tokens,...`,
in single tokens; and the documented `rankings-daily` JSON (`{"data": [{"date", "model_permaslug", "total_tokens"},
...]}`, or the bare list), which has totals only: input and output are then null, not zero.

`response_model` is the source's own name in lower case without its variant; `model_variant` is what stood after the
colon, empty for the standard one. Names are not resolved against the catalog here: two dated releases would become
one model, and a cloaked model would be uncloaked, before anybody asked. The study resolves them when it reads.
Source: OpenRouter, https://openrouter.ai/docs/cookbook/administration/data-api
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.ledger.imports.daily import MEASURES, DayFact, Vintage, add_daily
from tidegate.ledger.imports.published_days import (
    counted_notes,
    fingerprint,
    read_day,
    thin_days,
    tokens_per_unit,
    unfilled,
    when_published,
)
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.text import exact_count, read_array, read_table, read_text, refuse

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

ROUNDING_TOKENS_MAX = 2_000  # the CSV prints thousands: prompt and completion may each be off by half of one
_COLUMNS = {
    "date": ("date", "day", "usage_date"),
    "model": ("model", "model_permaslug"),
    "variant": ("variant",),
    "calls": ("count", "requests", "request_count", "total_requests"),
    "prompt": ("prompt", "prompt_tokens", "total_prompt_tokens"),
    "completion": ("completion", "completion_tokens", "total_completion_tokens"),
    "reasoning": ("reasoning", "reasoning_tokens", "total_native_tokens_reasoning"),
    "cached": ("cached", "cached_tokens", "total_native_tokens_cached"),
    "tools": ("tool_calls", "total_tool_calls"),
    "total": ("total_tokens", "total"),
    "fetched": ("capture_date", "as_of"),
}
_TOKENS = ("prompt", "completion", "reasoning", "cached", "total")
_COUNTS = ("calls", "tools")
_DATED = re.compile(r"-(20\d{6}|20\d\d-\d\d-\d\d)$")
_Line = tuple[int, dict[str, str]]


class Found(msgspec.Struct, frozen=True):
    """One record, where it stands, when it was published (None where the file does not say), its name as spelled."""

    fact: DayFact
    line: int
    as_of: dt.datetime | None
    spelled: str


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`. Refuses what contradicts itself; what is restated is a new vintage."""
    told: Counter[str] = Counter()
    source = options.source_id or format
    vintages: list[Vintage] = []
    read = 0
    for file in files:
        found = _read(file, told)
        read += len(found)
        mark = fingerprint(source, file)
        now = when_published(ledger, mark, options.as_of)
        marked = (msgspec.structs.replace(item, mark=mark) for item in _vintages(file, _once(file, found, told), now))
        vintages += [_over(item, told) for item in marked]
    facts = [fact for vintage in vintages for fact in vintage.facts]
    added = add_daily(ledger, source, vintages, prefix=format)
    return ImportReport(
        format=format,
        source_ids=(source,),
        files=len(files),
        read=read,
        added=added.new,
        known=added.known,
        restated=added.restated,
        unit=added.units[0] if added.units else "",
        notes=(*counted_notes(told), *_traps(facts), *added.notes()),
    )


def _vintages(file: Path, found: Sequence[Found], now: dt.datetime) -> list[Vintage]:
    """The records of one file, one vintage; several where it holds a day more than once, fetched at several times."""
    times = {item.as_of for item in found}
    days_of = {time: {item.fact.day for item in found if item.as_of == time} for time in times}
    if sum(len(days) for days in days_of.values()) == len({item.fact.day for item in found}):
        newest = max((time for time in times if time), default=now)
        return [Vintage(name=file.name, as_of=newest, facts=tuple(item.fact for item in found))]
    return [
        Vintage(name=file.name, as_of=time or now, facts=tuple(item.fact for item in found if item.as_of == time))
        for time in times
    ]


def _once(file: Path, found: Sequence[Found], told: Counter[str]) -> list[Found]:
    """One record a day and model: two spellings of one name (`Qwen/...`, `qwen/...`) are added up, and said.

    Refuses a name that stands twice in one spelling.
    """
    places: dict[tuple[Any, ...], Found] = {}
    spellings: dict[tuple[Any, ...], int] = {}
    for item in found:
        spelling = (item.fact.key, item.as_of, item.spelled)
        first = spellings.setdefault(spelling, item.line)
        if first != item.line:
            other = places[spelling[:2]]
            problem = "again" if other.fact == item.fact else "again, with other values"
            refuse(file, item.line, f"{item.fact.shown} stands here {problem}: first at {file}, line {first}")
        other = places.get(spelling[:2], item)
        if other is not item:
            told["a name in another spelling of capitals; added to the first"] += 1
            item = msgspec.structs.replace(other, fact=_sum(other.fact, item.fact))
        places[spelling[:2]] = item
    return list(places.values())


def _sum(one: DayFact, other: DayFact) -> DayFact:
    sums = {
        name: None if a is None and b is None else (a or 0) + (b or 0)
        for name, a, b in zip(MEASURES, one.values, other.values, strict=True)
    }
    return msgspec.structs.replace(one, **sums)


def _over(vintage: Vintage, told: Counter[str]) -> Vintage:
    """Without the day on which the values were published: it was not over, and would be taken for a low one."""
    facts = tuple(fact for fact in vintage.facts if fact.day < vintage.as_of.date())
    told[f"a day that was not over when published ({vintage.as_of.date()}); left out"] += len(vintage.facts) - len(
        facts
    )
    return msgspec.structs.replace(vintage, facts=facts)


def _read(file: Path, told: Counter[str]) -> list[Found]:
    text = read_text(file)
    if text.lstrip()[:1] in ("{", "["):
        return _read_json(file, text, told)
    unmapped, records = read_table(file, text, _COLUMNS, ("date", "model"))
    lines = [item for item in records if not _is_nothing(item[1], told)]
    for name in unmapped:
        told[f"column {name!r} was not mapped"] += len(lines)
    unit = tokens_per_unit(file, ((line, cells[name]) for line, cells in lines for name in _TOKENS if name in cells))
    if unit == 1:
        told["the file counts single tokens, not billions"] += len(lines)
    counts = [_counts(file, line, cells, unit, told) for line, cells in lines]
    empty = unfilled({name: [item[name] for item in counts] for name in ("reasoning", "cached", "tools")})
    for name in sorted(empty):
        told[f"the column for {name} is there and zero throughout: not filled by the source, so null"] += len(lines)
    return [
        Found(
            _fact(file, line, cells, {**item, **dict.fromkeys(empty)}),
            line,
            _fetched(file, line, cells),
            cells["model"],
        )
        for (line, cells), item in zip(lines, counts, strict=True)
    ]


def _is_nothing(cells: dict[str, str], told: Counter[str]) -> bool:
    """A record that names no model and counts nothing, as rankings have them: left out, and said."""
    if cells["model"] or any(cells.get(name, "").strip("0.") for name in (*_TOKENS, *_COUNTS)):
        return False
    told["a record without a name and without any count; left out"] += 1
    return True


def _counts(file: Path, line: int, cells: dict[str, str], unit: int, told: Counter[str]) -> dict[str, int | None]:
    """The record's measures by our short name; total from its parts where it is not published."""
    counts: dict[str, int | None] = dict.fromkeys((*_TOKENS, *_COUNTS))
    for name in (*_TOKENS, *_COUNTS):
        if cell := cells.get(name):
            counts[name], rounded = exact_count(file, line, name, cell, unit if name in _TOKENS else 1)
            if rounded and (unit == 1 or name in _COUNTS):
                refuse(file, line, f"{name} is {cell[:40]}, not a whole number")
            told["a value finer than one token was rounded to the nearest"] += rounded
    prompt, completion, total = counts["prompt"], counts["completion"], counts["total"]
    if total is None:
        if prompt is None or completion is None:
            refuse(file, line, "neither a total nor both prompt and completion")
        counts["total"] = prompt + completion
    elif prompt is not None and completion is not None and abs(total - prompt - completion) > ROUNDING_TOKENS_MAX:
        told["the total is not prompt plus completion; the source's total was kept"] += 1
    told["reasoning exceeds completion in the source; kept as published"] += (counts["reasoning"] or 0) > (
        completion or 0
    )
    told["cached exceeds prompt in the source; kept as published"] += (counts["cached"] or 0) > (prompt or 0)
    told["no tokens at all; kept"] += counts["total"] == 0
    return counts


def _fact(file: Path, line: int, cells: dict[str, str], counts: dict[str, int | None]) -> DayFact:
    model, variant = split_variant(cells["model"])
    if not model:
        refuse(file, line, "the model has no name")
    if column := cells.get("variant", "").lower():
        variant = "" if column == "standard" else column
    return DayFact(
        day=read_day(file, line, cells["date"]),
        response_model=model,
        model_variant=variant,
        calls=counts["calls"],
        usage_input_tokens=counts["prompt"],
        usage_output_tokens=counts["completion"],
        usage_cache_read_input_tokens=counts["cached"],
        usage_reasoning_output_tokens=counts["reasoning"],
        total_tokens=counts["total"],
        tool_calls=counts["tools"],
    )


def _fetched(file: Path, line: int, cells: dict[str, str]) -> dt.datetime | None:
    """When the record was published: the end of the day on which it was fetched."""
    cell = cells.get("fetched")
    return dt.datetime.combine(read_day(file, line, cell[:10]), dt.time(23, 59, 59)) if cell else None


def _read_json(file: Path, text: str, told: Counter[str]) -> list[Found]:
    document, items = read_array(file, text, "data")
    meta = document.get("meta")
    as_of = None
    if isinstance(meta, dict) and meta.get("as_of"):
        told[f"cite as: Source: OpenRouter (openrouter.ai/rankings), as of {meta['as_of']}"] += len(items)
        as_of = _moment(file, str(meta["as_of"]))
    told["only the total is published: input and output are null"] += len(items)
    return [Found(_json_fact(file, line, item), line, as_of, str(item["model_permaslug"])) for line, item in items]


def _moment(file: Path, text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        refuse(file, 1, f"as_of is {text[:40]!r}, not a time such as 2026-05-12T02:00:00Z")
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _json_fact(file: Path, line: int, item: Any) -> DayFact:
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
    day = read_day(file, line, str(item["date"]))
    return DayFact(day=day, response_model=model, model_variant=variant, total_tokens=total)


def split_variant(name: str) -> tuple[str, str]:
    """`Author/Model:free` -> (`author/model`, `free`); the variant is empty for the standard one."""
    model, _, variant = name.strip().lower().partition(":")
    return model.strip(), variant.strip()


def _traps(facts: Iterable[DayFact]) -> list[str]:
    """What a reader of these files must know, each only where it is so."""
    models: dict[dt.date, set[tuple[str, str]]] = {}
    dated: set[str] = set()
    variants: set[str] = set()
    for fact in facts:
        models.setdefault(fact.day, set()).add((fact.response_model, fact.model_variant))
        if _DATED.search(fact.response_model):
            dated.add(fact.response_model)
        variants |= {fact.model_variant} - {""}
    notes = []
    thin = thin_days({day: len(names) for day, names in models.items()})
    if thin:
        days = list(thin)
        span = f"{days[0]}" if len(days) == 1 else f"{len(days)} days between {days[0]} and {days[-1]}"
        notes.append(
            f"{span}: only {min(thin.values())} to {max(thin.values())} models listed, far fewer than usual (a source "
            "starting or failing); kept, and left out of the periods that figures draw"
        )
    if variants:
        notes.append(f"variants are kept apart from their models: {', '.join(sorted(variants))}")
    if dated:
        notes.append(
            f"{len(dated)} model names carry a date; kept as published, resolved by the catalog when figures are drawn"
        )
    return notes
