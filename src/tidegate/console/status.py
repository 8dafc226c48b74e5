"""What the start page shows: totals and the newest rows of this ledger, without content."""

import contextlib
import datetime
import heapq
import html
import ipaddress
import threading
from collections.abc import Mapping, Sequence

import msgspec

from tidegate import __version__
from tidegate.core.errors import LedgerError
from tidegate.core.money import format_usd
from tidegate.core.row import Row
from tidegate.ledger.manifest import Entry
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.schema import files_select
from tidegate.ledger.store import Ledger

NEWEST_ROWS = 20
FORWARDING_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of a ledger, sealed and not, and its newest rows, newest first."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    newest: tuple[Row, ...] = ()

    def plus(self, rows: Sequence[Row], counted: "Status | None" = None) -> "Status":
        """With these rows besides. counted: their totals, where `rows` are but the newest of them."""
        counted = counted or Status(
            calls=len(rows),
            input_tokens=sum(row.usage_input_tokens or 0 for row in rows),
            output_tokens=sum(row.usage_output_tokens or 0 for row in rows),
            cost_nano_usd=sum(row.cost_nano_usd or 0 for row in rows),
        )
        return Status(
            calls=self.calls + counted.calls,
            input_tokens=self.input_tokens + counted.input_tokens,
            output_tokens=self.output_tokens + counted.output_tokens,
            cost_nano_usd=self.cost_nano_usd + counted.cost_nano_usd,
            newest=tuple(heapq.nlargest(NEWEST_ROWS, (*self.newest, *rows), key=lambda row: row.ts)),
        )


def may_see_ledger(headers: Mapping[str, str]) -> bool:
    """Whether a request certainly comes from this machine, so that the page may show figures.

    All three must hold: the connection comes from loopback, the browser was sent to a loopback name (else another
    site's page could read ours through its own domain name), and nothing says that it was forwarded (else a reverse
    proxy on this machine would show the ledger to the world).
    """
    host = headers.get("host", "").lower()
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    try:
        local = ipaddress.ip_address(headers.get("x-tidegate-client", "")).is_loopback
    except ValueError:
        local = False
    return local and name in LOOPBACK_NAMES and not any(header in headers for header in FORWARDING_HEADERS)


class StatusReader:
    """Reads the status of one ledger again and again, from any thread. A sealed file never changes: it is read once."""

    def __init__(self) -> None:
        self._entries_read = 0
        self._sealed = Status()
        self._reading = threading.Lock()

    def read(self, ledger: Ledger) -> Status:
        """Totals and newest rows now. Raises LedgerError where a file cannot be read."""
        with self._reading:
            rows = [outcome.row for outcome in ledger.unsealed_outcomes()]
            entries = ledger.entries()
            self._take_in(ledger, entries[self._entries_read :])
            self._entries_read = len(entries)
            # A segment that was sealed while its journal was read is in both.
            sealed = {entry.unit for entry in entries if entry.kind == "segment"}
            return self._sealed.plus([row for row in rows if row.segment_id not in sealed])

    def _take_in(self, ledger: Ledger, entries: Sequence[Entry]) -> None:
        import duckdb

        paths = [str(ledger.path / file.path) for entry in entries for file in entry.files if file.table == "rows"]
        if not paths:
            return
        rows = files_select("rows", paths)
        try:
            with contextlib.closing(open_engine()) as connection:
                totals = connection.execute(f"SELECT {_TOTALS} FROM ({rows})").fetchall()[0]
                newest = connection.execute(
                    f"SELECT {', '.join(_NEWEST_COLUMNS)} FROM ({rows}) ORDER BY ts DESC LIMIT {NEWEST_ROWS}"
                ).fetchall()
        except duckdb.Error as error:
            raise LedgerError(f"{str(error).splitlines()[0]} (`tidegate ledger verify` says what is wrong)") from error
        calls, input_tokens, output_tokens, cost = (int(total) for total in totals)
        read = Status(calls=calls, input_tokens=input_tokens, output_tokens=output_tokens, cost_nano_usd=cost)
        self._sealed = self._sealed.plus([_listed(*cells) for cells in newest], counted=read)


_TOTALS = (
    "count(*), coalesce(sum(usage_input_tokens), 0), coalesce(sum(usage_output_tokens), 0),"
    " coalesce(sum(cost_nano_usd), 0)"
)
_NEWEST_COLUMNS = (
    "generation_id",
    "ts",
    "request_model",
    "response_model",
    "provider_name",
    "status_code",
    "usage_input_tokens",
    "usage_output_tokens",
    "cost_nano_usd",
    "duration_us",
)


def _listed(*cells: object) -> Row:
    return msgspec.convert({"source_id": "", **dict(zip(_NEWEST_COLUMNS, cells, strict=True))}, Row)


def page(status: Status | str | None) -> str:
    """The start page. status: a text says what is wrong; None shows what anyone may know: version, how to get a key."""
    if isinstance(status, Status):
        ledger = _ledger_part(status)
    else:
        ledger = _PUBLIC if status is None else f"<p class=wrong>The ledger cannot be read: {html.escape(status)}</p>"
    return _PAGE.format(version=html.escape(__version__), ledger=ledger)


def _ledger_part(status: Status) -> str:
    totals = (
        (f"{status.calls:,}", "calls"),
        (f"{status.input_tokens:,}", "tokens in"),
        (f"{status.output_tokens:,}", "tokens out"),
        (format_usd(status.cost_nano_usd), "USD charged"),
    )
    shown = "".join(f"<li><b>{value}</b> {name}</li>" for value, name in totals)
    figures = "<p>Figures: <code>tidegate report --out report</code>, then open <code>report/index.html</code>.</p>"
    return f"<ul>{shown}</ul>{_newest_part(status.newest)}{figures}"


def _newest_part(rows: Sequence[Row]) -> str:
    if not rows:
        return "<p>No calls yet: <code>tidegate call MODEL TEXT</code> makes one.</p>"
    head = "".join(f"<th{_CLASSES.get(name, '')}>{name}</th>" for name in _COLUMNS)
    body = "".join(
        "<tr>"
        + "".join(f"<td{_CLASSES.get(name, '')}>{cell}</td>" for name, cell in zip(_COLUMNS, _cells(row), strict=True))
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<h2>Newest calls</h2><div class=scroll>{table}</div>"


_COLUMNS = ("time (UTC)", "model", "provider", "status", "tokens in", "tokens out", "USD", "ms", "generation id")
_CLASSES = dict.fromkeys(("tokens in", "tokens out", "USD", "ms"), " class=n")


def _cells(row: Row) -> list[str]:
    when = datetime.datetime.fromtimestamp(row.ts / 1e6, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    duration_ms = None if row.duration_us is None else f"{row.duration_us // 1000:,}"
    cells = (
        when,
        row.response_model or row.request_model,
        row.provider_name,
        row.status_code,
        _count(row.usage_input_tokens),
        _count(row.usage_output_tokens),
        "unknown" if row.cost_nano_usd is None else format_usd(row.cost_nano_usd, places_min=9),
        duration_ms,
        row.generation_id,
    )
    return ["" if cell is None else html.escape(str(cell)) for cell in cells]


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"


_PUBLIC = (
    "<p>The gateway is up. Call it with an unchanged OpenAI SDK at <code>/v1</code>; a key comes from "
    "<code>tidegate keys create --name NAME</code> on the machine it runs on. The ledger is shown only to a browser on "
    "that machine.</p>"
)

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tidegate</title><style>
:root {{ color-scheme: light dark; --line: #dde3ea; --quiet: #5b6875; --wrong: #b3261e }}
@media (prefers-color-scheme: dark) {{ :root {{ --line: #38424d; --quiet: #9aa7b4; --wrong: #ff8a80 }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem }}
h1 small, th, li {{ color: var(--quiet); font-weight: normal }} h2 {{ font-size: 1.1rem }}
ul {{ display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; list-style: none; padding: 0 }}
b {{ color: CanvasText; display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums }}
.scroll {{ overflow-x: auto }} table {{ border-collapse: collapse; font-size: 13px; min-width: 100% }}
td, th {{ padding: .25rem 1rem .25rem 0; text-align: left; white-space: nowrap }}
td {{ font-variant-numeric: tabular-nums }} .n {{ text-align: right }}
td:nth-child(2) {{ max-width: 18rem; overflow: hidden; text-overflow: ellipsis }}
tbody tr {{ border-top: 1px solid var(--line) }} .wrong {{ color: var(--wrong) }}
</style></head><body><h1>Tidegate <small>{version}</small></h1>
<p>The honest meter for LLM tokens. <a href="https://github.com/tidegate/tidegate/tree/main/docs">Documentation</a></p>
{ledger}
</body></html>
"""
