"""Call logs of other systems as rows: what all formats share, from the record that was read to the sealed unit.

What happens to bad records is the same for every format, is counted, and is documented in reference/imports.md:
left out: no usable time, a negative or absurd count or amount, an id that stands there already.
kept: a part above its total (the part becomes null), an unknown model, a total that is not the sum of its parts.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.core.ids import gateway_tag, generation_id
from tidegate.core.row import Row
from tidegate.ledger.imports.records import Fields, read_records
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import Unusable

if TYPE_CHECKING:
    from tidegate.ledger.store import Ledger

FINISH_REASONS: Final = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "refusal": "content_filter",
    "error": "error",
}
"""How systems spell why an answer ended -> our word. Others are kept as they are, in lower case."""
VARIANTS: Final = frozenset(
    {"free", "standard", "thinking", "extended", "beta", "online", "nitro", "floor", "exacto", "batch"}
)
"""What may stand after the colon of a model's name and is no part of it (OpenRouter's variants)."""
NOTHING: Final = "there is no record in the files"
_PARTS: Final = {
    "usage_cache_read_input_tokens": "usage_input_tokens",
    "usage_cache_creation_input_tokens": "usage_input_tokens",
    "usage_reasoning_output_tokens": "usage_output_tokens",
}
_COMPARED: Final = ("response_model", "usage_input_tokens", "usage_output_tokens", "cost_nano_usd", "status_code")


class Draft(msgspec.Struct, frozen=True):
    """A row that has no ids yet. identity: the source's own id of the call; empty where it has none.

    user: the end user as the source names them; only a keyed hash is kept.
    """

    identity: str
    row: Row
    user: str | None = None


class CallFormat(msgspec.Struct, frozen=True, kw_only=True):
    """One format of call logs: how its rows are made.

    draft: a record's fields to a Draft, or None where the record is no call (it then says so in `tally.skipped`).
    members: where a JSON document holds its records. records: for files that are no plain lists of records.
    """

    name: str
    draft: Callable[[Fields, Tally], Draft | None]
    members: tuple[str, ...] = ("data", "items", "records", "logs", "response")
    records: Callable[[Path, Tally], Iterator[tuple[int, dict[str, Any]]]] | None = None
    caveats: tuple[str, ...] = ()


def blank(ts: int | None, **values: Any) -> Row:  # values: columns of Row
    """A row of these columns; ids and source come later. Raises Unusable without a time."""
    if ts is None:
        raise Unusable("the time is missing")
    return Row(generation_id="", ts=ts, source_id="", requests=1, **values)


def spelled_model(name: str | None) -> tuple[str | None, str | None]:
    """(model in lower case, variant after the colon; empty for the standard one); None where no model is named."""
    if not name:
        return None, None
    whole = name.strip().lower()
    model, _, variant = whole.rpartition(":")
    if not model or variant not in VARIANTS:  # `llama3:8b` and `...-v2:0` are names
        return whole, ""
    return model.strip(), "" if variant == "standard" else variant


def finish_word(reason: str | None) -> str | None:
    """Our word for why an answer ended."""
    return None if not reason else FINISH_REASONS.get(reason.strip().lower(), reason.strip().lower())


def key_name(key: str | None) -> str | None:
    """An API key's id. A secret that stands in a log in the clear is never kept: its hash is."""
    if key and key.startswith(("sk-", "sk_", "Bearer ")):
        return "hash:" + hashlib.sha256(key.encode()).hexdigest()[:16]
    return key or None


def import_calls(
    form: CallFormat,
    files: Sequence[Path],
    ledger: "Ledger",
    source_id: str | None,
    progress: Progress | None = None,
) -> ImportReport:
    """Read every file, leave out what cannot be a row or is known, seal the rest as one unit."""
    source = source_id or form.name
    tally = Tally()
    flow = _Flow(form, source, ledger, tally, progress)
    unit = f"{form.name}-{_digest(source, files)}"
    entry = ledger.entry_of(unit, "import")
    if entry is None:
        rows = flow.rows(files)
        first = next(rows, None)
        if first is not None:
            origin = f"{form.name}: " + ", ".join(file.name for file in files[:3]) + (", ..." if files[3:] else "")
            ledger.add_rows(_with_first(first, rows), [], unit=unit, origin=origin)
    else:
        flow.known = flow.kept = sum(file.rows for file in entry.files if file.table == "rows")
        tally.read = flow.kept
    if tally.read and not flow.kept and not tally.skipped:
        worst = tally.rejections()[0]
        raise LedgerError(
            f"{form.name}: none of {tally.read} records can be a row: {worst.reason} ({worst.first}). Nothing of this "
            f"import was kept. Is it an export of another system? `tidegate ledger import --help` lists the formats."
        )
    return ImportReport(
        format=form.name,
        source_ids=(source,),
        files=len(files),
        read=tally.read,
        added=flow.kept - flow.known,
        known=flow.known,
        rejected=tally.rejections(),
        skipped=tally.skipped.total(),
        unit=unit if flow.kept > flow.known else "",
        notes=(*(() if tally.read else (NOTHING,)), *form.caveats, *tally.notes(), *flow.notes()),
    )


def _with_first(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _digest(source: str, files: Sequence[Path]) -> str:
    """Of the source's name and the files' bytes: the same files again are the same unit."""
    whole = hashlib.sha256(source.encode())
    for one in sorted(hashlib.sha256(file.read_bytes()).digest() for file in files):
        whole.update(one)
    return whole.hexdigest()[:16]


class _Flow:
    """The records of one import on their way to rows. kept: usable calls; known: those the ledger held already."""

    def __init__(
        self, form: CallFormat, source: str, ledger: "Ledger", tally: Tally, progress: Progress | None
    ) -> None:
        self.kept = self.known = self.restated = 0
        self.models: dict[str, int] = {}
        self._form = form
        self._source = source
        self._tally = tally
        self._progress = progress
        self._tag = gateway_tag(source)
        self._user_key = f"{ledger.ledger_id}:{source}".encode()
        self._held = _held_calls(ledger, source)
        self._seen: dict[str, int] = {}
        self._alike: Counter[str] = Counter()  # records of one file without an id and alike in all: numbered

    def rows(self, files: Sequence[Path]) -> Iterator[Row]:
        """New rows, in the order of the files."""
        for file in files:
            self._alike.clear()
            read = self._form.records or (lambda path, tally: read_records(path, tally, members=self._form.members))
            for line, members in read(file, self._tally):
                self._tally.read += 1
                if self._progress and not self._tally.read % 1000:
                    self._progress(self._tally.read, 0)
                try:
                    row = self._row(members)
                except Unusable as error:
                    self._tally.refuse(error, file, line)
                    continue
                if row is not None and self._is_new(row, file, line):
                    yield row

    def _row(self, members: dict[str, Any]) -> Row | None:
        fields = Fields(members, self._tally)
        draft = self._form.draft(fields, self._tally)
        fields.leave()
        if draft is None:
            return None
        row = parts_within(draft.row, self._tally)
        if row.response_model:
            self.models[row.response_model] = self.models.get(row.response_model, 0) + 1
        user = draft.user and hmac.new(self._user_key, draft.user.encode(), hashlib.sha256).hexdigest()[:32]
        identity = draft.identity or self._content(members)
        random = int.from_bytes(hashlib.sha256(f"{self._source}:{identity}".encode()).digest()[:6], "big")
        return msgspec.structs.replace(
            row,
            generation_id=row.generation_id or generation_id(row.ts // 1000, random >> 36, self._tag, 0, random),
            source_id=self._source,
            request_id=row.request_id or draft.identity or None,
            user_hash=row.user_hash or user or None,
        )

    def _content(self, members: dict[str, Any]) -> str:
        """Stands in for an id: what the record says, and how often the file has said it before."""
        content = hashlib.sha256(repr(sorted(members.items())).encode()).hexdigest()
        self._alike[content] += 1
        return f"{content}:{self._alike[content]}"

    def _is_new(self, row: Row, file: Path, line: int) -> bool:
        """Whether the call stands neither earlier in these files nor in the ledger."""
        value = _value(row)
        if (before := self._seen.get(row.generation_id)) is not None:
            reason = "a call stands there again" if before == value else "an id stands there again with other values"
            self._tally.reject(f"{reason}; the first was kept", file, line, row.request_id or "")
            return False
        self._seen[row.generation_id] = value
        self.kept += 1
        held = self._held.get(row.generation_id)
        if held is None:
            return True
        self.known += 1
        self.restated += held != value
        return False

    def notes(self) -> Iterator[str]:
        if self.restated:
            yield (
                f"{self.restated} calls have other values than the ledger holds: sealed rows never change, the first "
                "vintage is used; import under another --source-id to keep both"
            )
        unknown = unknown_models(self.models)
        if unknown:
            named = ", ".join(sorted(unknown)[:5]) + (", ..." if len(unknown) > 5 else "")
            yield (
                f"{len(unknown)} models are not in the catalog, their author and weights are unknown: {named} "
                f"({sum(unknown.values())} records, kept)"
            )


def parts_within(row: Row, tally: Tally) -> Row:
    """A cached or reasoning count above its total is no count: it becomes null, the call stays."""
    wrong: dict[str, None] = {}
    for part, whole in _PARTS.items():
        count, total = getattr(row, part), getattr(row, whole)
        if count is not None and total is not None and count > total:
            wrong[part] = None
            tally.flags[f"{part} above {whole}: the part was set to null, the call kept"] += 1
    read, written = row.usage_cache_read_input_tokens, row.usage_cache_creation_input_tokens
    both = (read or 0) + (written or 0)
    if not wrong and row.usage_input_tokens is not None and both > row.usage_input_tokens:
        wrong = {"usage_cache_read_input_tokens": None, "usage_cache_creation_input_tokens": None}
        tally.flags["cache read and written together above input: both were set to null, the call kept"] += 1
    return msgspec.structs.replace(row, **wrong) if wrong else row


def unknown_models(models: dict[str, int]) -> dict[str, int]:
    """Those that the catalog has no facts about, with their records."""
    if not models:
        return {}
    from tidegate.catalog import load_catalog

    catalog = load_catalog()
    return {name: count for name, count in models.items() if not catalog.model_of(name).source}


def _value(row: Row) -> int:
    return hash(tuple(getattr(row, column) for column in _COMPARED))


def _held_calls(ledger: "Ledger", source: str) -> dict[str, int]:
    """generation_id -> what it says, of the calls of this source that the ledger holds."""
    if not ledger.row_files():
        return {}
    with ledger.connect() as connection:
        cursor = connection.execute(
            f"SELECT generation_id, {', '.join(_COMPARED)} FROM rows WHERE source_id = ?", [source]
        )
        return {name: hash(tuple(values)) for name, *values in cursor.fetchall()}
