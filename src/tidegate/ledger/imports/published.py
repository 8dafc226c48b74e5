"""OpenRouter's public lists that name no models alone: authors, categories, providers, apps; points of `series`.

A file is refused as a whole for one bad line, naming it. What is known to be a trap is detected, said and handled:
weekly lists that overlap (the same weeks from Sundays and from Mondays) are kept apart by the weekday on which their
weeks begin; `others` stands for all that a list does not name, and who is named changes from week to week; shares
that the file prints are checked against its tokens; a ranking "of the last days" is a window, not a day.
Source: https://openrouter.ai/rankings and https://openrouter.ai/apps, as third parties saved them.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.ledger.imports.openrouter_daily import split_variant
from tidegate.ledger.imports.published_days import (
    counted_notes,
    fingerprint,
    origin_text,
    read_day,
    tokens_per_unit,
    when_published,
)
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.text import NUMBER, exact_count, read_array, read_table, read_text, refuse
from tidegate.ledger.series import About, Grain, Kind, Point, add_series

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

_SHARE_OFF_MAX: Final = Decimal("0.001")
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_COLUMNS: Final = {
    "date": ("date", "week", "day", "capture_date", "usage_date"),
    "author": ("author",),
    "category": ("category",),
    "provider": ("provider", "provider_slug"),
    "app": ("app_slug", "slug", "app"),
    "title": ("app_title", "title"),
    "app_id": ("app_id",),
    "model": ("model", "model_permaslug"),
    "tokens": ("tokens", "total_tokens"),
    "requests": ("requests", "total_requests"),
    "share": ("share", "share_in_category"),
    "created": ("created_at",),
}
_NEEDED: Final = {
    "openrouter-authors": ("date", "author", "tokens"),
    "openrouter-categories": ("date", "category", "author", "tokens"),
    "openrouter-providers": ("date", "provider", "tokens"),
    "openrouter-apps": ("date", "app", "tokens"),
}
_KIND: Final[dict[str, Kind]] = {
    "openrouter-authors": "author",
    "openrouter-categories": "category_author",
    "openrouter-providers": "provider",
    "openrouter-apps": "app",
}


class Listed(msgspec.Struct, frozen=True):
    """One line of a file: its point, and where it stands. share: as printed; None where it is not."""

    point: Point
    line: int
    share: Decimal | None


class Sheet(msgspec.Struct, frozen=True):
    """A file that was read: what its lists name and which periods they are of."""

    file: Path
    kind: Kind
    grain: Grain
    lines: tuple[Listed, ...]


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    told: Counter[str] = Counter()
    source = options.source_id or format
    notes: list[str] = []
    sheets: list[tuple[Sheet, dt.datetime, str]] = []
    for file in files:
        mark = fingerprint(source, file)
        as_of = when_published(ledger, mark, options.as_of)
        sheets.append((_over(_read(format, file, told), as_of, notes), as_of, mark))
    for sheet, _, _ in sheets:
        notes += [note for note in _traps(sheet) if note not in notes]
    added = known = restated = outdated = 0
    first_unit = ""
    for sheet, as_of, mark in sheets:
        for anchor, points in _by_anchor(sheet).items():
            about = About(source_id=source, kind=sheet.kind, grain=sheet.grain, week_anchor=anchor)
            unit = f"{format}-{_digest(about, points, as_of)}"
            origin = origin_text(as_of, sheet.file.name, mark)
            done = add_series(ledger, about, points, unit=unit, origin=origin, as_of=as_of)
            added, known = added + done.points, known + done.known
            restated, outdated = restated + done.restated, outdated + done.outdated
            first_unit = first_unit or (unit if done.points else "")
    if restated:
        notes.append(f"{restated} lists were restated by the source: both vintages are kept, the newest is used")
    if outdated:
        notes.append(f"{outdated} lists are older than what the ledger holds: kept as older vintages, not used")
    return ImportReport(
        format=format,
        source_ids=(source,),
        files=len(files),
        read=sum(len(sheet.lines) for sheet, _, _ in sheets),
        added=added,
        known=known,
        restated=restated,
        unit=first_unit,
        notes=(*counted_notes(told), *notes),
    )


def _digest(about: About, points: Sequence[Point], as_of: dt.datetime) -> str:
    return hashlib.sha256(msgspec.json.encode((about, points, as_of))).hexdigest()[:16]


def _read(format: str, file: Path, told: Counter[str]) -> Sheet:
    text = read_text(file)
    if text.lstrip()[:1] in ("{", "["):
        lines, unit = _json_points(format, file, text), 1
    else:
        unmapped, records = read_table(file, text, _COLUMNS, _NEEDED[format])
        lines = list(records)
        for name in unmapped:
            told[f"column {name!r} was not mapped"] += len(lines)
        unit = tokens_per_unit(file, ((line, cells["tokens"]) for line, cells in lines))
    if not lines:
        refuse(file, 1, "the file has a header and no line")
    if unit == 1:
        told["the file counts single tokens, not billions"] += len(lines)
    by_model = "model" in lines[0][1]
    listed = []
    for line, cells in lines:
        tokens, rounded = exact_count(file, line, "tokens", cells["tokens"], unit)
        told["a value finer than one token was rounded to the nearest"] += rounded
        told["no tokens at all; kept"] += tokens == 0
        listed.append(Listed(_point(format, file, line, cells, tokens), line, _share(file, line, cells)))
    kind: Kind = "app_model" if format == "openrouter-apps" and by_model else _KIND[format]
    sheet = Sheet(file, kind, _grain(format, file, listed, lines[0][1]), tuple(listed))
    _refuse_twice(sheet)
    _check_shares(sheet, told)
    return sheet


def _json_points(format: str, file: Path, text: str) -> list[tuple[int, dict[str, str]]]:
    """The ranking page's own points, `{"x": week, "ys": {author: tokens, ...}}`, as lines of a table."""
    if format != "openrouter-authors":
        refuse(file, 1, f"{format} is read from CSV; JSON points name authors only (openrouter-authors)")
    lines = []
    for line, item in read_array(file, text, "data")[1]:
        week, names = (item.get("x"), item.get("ys")) if isinstance(item, dict) else (None, None)
        if not isinstance(week, str) or not isinstance(names, dict):
            refuse(file, line, 'a record must be {"x": "2026-03-16", "ys": {"qwen": 123, ...}}')
        for author, tokens in names.items():
            if isinstance(tokens, bool) or not isinstance(tokens, (int, float, str)):
                refuse(file, line, f"{author} has {str(tokens)[:40]!r}, not a number of tokens")
            lines.append((line, {"date": week[:10], "author": author, "tokens": str(tokens)}))
    return lines


def _over(sheet: Sheet, as_of: dt.datetime, notes: list[str]) -> Sheet:
    """Without weeks that were not over when the values were published: they would be taken for low ones."""
    if sheet.grain != "week":
        return sheet
    lines = tuple(item for item in sheet.lines if item.point.starts + dt.timedelta(days=7) <= as_of)
    running = sorted({item.point.starts.date() for item in sheet.lines} - {item.point.starts.date() for item in lines})
    if running:
        notes.append(
            f"the week of {', '.join(map(str, running))} was not over on {as_of.date()}: left out; import it later"
        )
    return Sheet(sheet.file, sheet.kind, sheet.grain, lines)


def _point(format: str, file: Path, line: int, cells: dict[str, str], tokens: int) -> Point:
    for name in _NEEDED[format]:
        if not cells[name] and not (name == "app" and cells.get("title")):
            refuse(file, line, f"the {name} is empty")
    model, variant = split_variant(cells.get("model", "")) if format == "openrouter-apps" else ("", "")
    requests = cells.get("requests")
    return Point(
        starts=dt.datetime.combine(read_day(file, line, cells["date"]), dt.time()),
        category=cells.get("category", "").lower() if format == "openrouter-categories" else "",
        author=cells.get("author", "").lower() if "author" in _NEEDED[format] else "",
        provider_name=cells.get("provider", "").lower() if format == "openrouter-providers" else "",
        app=(cells.get("app") or cells.get("title", "")).lower() if format == "openrouter-apps" else "",
        response_model=model,
        model_variant=variant,
        calls=exact_count(file, line, "requests", requests)[0] if requests else None,
        total_tokens=tokens,
    )


def _share(file: Path, line: int, cells: dict[str, str]) -> Decimal | None:
    text = cells.get("share", "")
    if not text:
        return None
    if not NUMBER.fullmatch(text) or not 0 <= Decimal(text) <= 1:
        refuse(file, line, f"the share is {text[:40]!r}, not a fraction from 0 to 1")
    return Decimal(text)


def _grain(format: str, file: Path, listed: Sequence[Listed], cells: dict[str, str]) -> Grain:
    """Weeks for authors and categories, days for providers and apps; a ranking of apps with their age is a window."""
    if format in ("openrouter-providers", "openrouter-apps"):
        return "window" if "created" in cells else "day"
    days = sorted({item.point.starts.date() for item in listed})
    by_weekday: dict[int, list[dt.date]] = {}
    for day in days:
        by_weekday.setdefault(day.weekday(), []).append(day)
    if len(by_weekday) > 2:
        refuse(
            file,
            listed[0].line,
            f"its {len(days)} dates fall on {len(by_weekday)} different weekdays, so its periods are not whole weeks; "
            "lists by day are not published in this format",
        )
    return "week"


def _by_anchor(sheet: Sheet) -> dict[str, list[Point]]:
    """The points by the weekday on which their weeks begin; together under an empty name where they are no weeks."""
    found: dict[str, list[Point]] = {}
    for item in sheet.lines:
        anchor = _WEEKDAYS[item.point.starts.weekday()] if sheet.grain == "week" else ""
        found.setdefault(anchor, []).append(item.point)
    return found


def _refuse_twice(sheet: Sheet) -> None:
    seen: dict[tuple[object, ...], int] = {}
    for item in sheet.lines:
        name = (item.point.starts, item.point.name)
        first = seen.setdefault(name, item.line)
        if first != item.line:
            shown = " ".join(filter(None, item.point.name))
            refuse(
                sheet.file, item.line, f"{item.point.starts.date()} {shown} stands here again: first in line {first}"
            )


def _check_shares(sheet: Sheet, told: Counter[str]) -> None:
    """Whether the printed shares are those of the tokens of their list."""
    if all(item.share is None for item in sheet.lines):
        return
    totals: Counter[tuple[dt.datetime, str]] = Counter()
    for item in sheet.lines:
        totals[(item.point.starts, item.point.category)] += item.point.total_tokens or 0
    for item in sheet.lines:
        total = totals[(item.point.starts, item.point.category)]
        if item.share is not None and total:
            ours = Decimal(item.point.total_tokens or 0) / total
            told["the printed share is not that of the tokens; the tokens were kept"] += (
                abs(ours - item.share) > _SHARE_OFF_MAX
            )


def _traps(sheet: Sheet) -> list[str]:
    """What a reader of this file must know, each only where it is so."""
    notes = []
    weeks = _by_anchor(sheet)
    if len(weeks) > 1:
        each = " and ".join(
            f"{len({p.starts for p in points})} beginning on {name.capitalize()}" for name, points in weeks.items()
        )
        notes.append(
            f"{sheet.file.name} holds {len(weeks)} weekly series that overlap ({each}): kept apart, never added to "
            "each other, which would count every week twice"
        )
    if sheet.kind in ("author", "category_author") and any(item.point.is_rest for item in sheet.lines):
        lists = {(item.point.starts, item.point.category): set[str]() for item in sheet.lines}
        for item in sheet.lines:
            if not item.point.is_rest:
                lists[(item.point.starts, item.point.category)].add(item.point.author)
        sizes = sorted(len(names) for names in lists.values())
        size = f"{sizes[0]} to {sizes[-1]}" if sizes[0] < sizes[-1] else f"{sizes[0]}"
        everyone = set().union(*lists.values())
        notes.append(
            f"each list names {size} authors and sums the rest as `others`; {len(everyone)} authors "
            "are named at some time: an author who is not named has an unknown number, not zero"
        )
    if sheet.kind == "category_author":
        names = {item.point.category for item in sheet.lines}
        nested = sorted(name for name in names if "/" in name and name.partition("/")[0] in names)
        if nested:
            notes.append(
                f"{', '.join(nested)} stands beside {', '.join(sorted({n.partition('/')[0] for n in nested}))}: "
                "categories of their own, kept as published"
            )
    if sheet.grain == "window":
        notes.append(
            f"{sheet.file.name} does not say how many days it sums (apps with their age, and requests): kept as a "
            "window that is never added to days"
        )
    return notes
