"""What the start page shows: totals and the newest rows of this ledger, without content."""

import datetime
import html
import ipaddress
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tidegate import __version__
from tidegate.core.errors import LedgerError
from tidegate.core.money import format_usd
from tidegate.core.row import Row
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


def read_status(ledger_path: Path) -> Status:
    """Totals and newest rows. A ledger that is not there yet is an empty one."""
    try:
        ledger = Ledger.open(ledger_path)
    except LedgerError:
        return Status()
    rows = [outcome.row for outcome in ledger.unsealed_outcomes()]
    # A segment that is sealed while we read would be counted twice: what was read unsealed is left out below.
    unsealed = sorted({row.segment_id for row in rows if row.segment_id is not None})
    connection = ledger.connect()
    try:
        totals = connection.execute(_TOTALS_SQL, [unsealed]).fetchall()[0]
        sealed = [_listed(*cells) for cells in connection.execute(_NEWEST_SQL, [unsealed, NEWEST_ROWS]).fetchall()]
    finally:
        connection.close()
    newest = sorted((*sealed, *rows), key=lambda row: row.ts, reverse=True)
    return Status(
        calls=int(totals[0]) + len(rows),
        input_tokens=int(totals[1]) + sum(row.usage_input_tokens or 0 for row in rows),
        output_tokens=int(totals[2]) + sum(row.usage_output_tokens or 0 for row in rows),
        cost_nano_usd=int(totals[3]) + sum(row.cost_nano_usd or 0 for row in rows),
        newest=tuple(newest[:NEWEST_ROWS]),
    )


_NOT_UNSEALED = "segment_id IS NULL OR NOT list_contains(?, segment_id)"
_TOTALS_SQL = (
    "SELECT count(*), coalesce(sum(usage_input_tokens), 0), coalesce(sum(usage_output_tokens), 0),"
    f" coalesce(sum(cost_nano_usd), 0) FROM rows WHERE {_NOT_UNSEALED}"
)
_NEWEST_COLUMNS = (
    "generation_id",
    "ts",
    "response_model",
    "provider_name",
    "status_code",
    "usage_input_tokens",
    "usage_output_tokens",
    "cost_nano_usd",
    "duration_us",
)
_NEWEST_SQL = f"SELECT {', '.join(_NEWEST_COLUMNS)} FROM rows WHERE {_NOT_UNSEALED} ORDER BY ts DESC LIMIT ?"


def _listed(*cells: object) -> Row:
    return msgspec.convert({"source_id": "", **dict(zip(_NEWEST_COLUMNS, cells, strict=True))}, Row)


def page(status: Status | None) -> str:
    """The start page. status: None shows what anyone may know: name, version, health, how to get a key."""
    return _PAGE.format(version=html.escape(__version__), ledger=_PUBLIC if status is None else _ledger_part(status))


def _ledger_part(status: Status) -> str:
    head = "".join(
        f"<th>{name}</th>" for name in ("time (UTC)", "model", "provider", "status", "in", "out", "USD", "ms", "id")
    )
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in _cells(row)) + "</tr>" for row in status.newest)
    return (
        f"<p class=totals><b>{status.calls:,}</b> calls <b>{status.input_tokens:,}</b> tokens in "
        f"<b>{status.output_tokens:,}</b> tokens out <b>USD {format_usd(status.cost_nano_usd)}</b></p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "<p>Figures: <code>tidegate report --out report</code>, then open <code>report/index.html</code>.</p>"
    )


def _cells(row: Row) -> list[str]:
    when = datetime.datetime.fromtimestamp(row.ts / 1e6, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    cost = None if row.cost_nano_usd is None else format_usd(row.cost_nano_usd)
    duration_ms = None if row.duration_us is None else row.duration_us // 1000
    cells = (when, row.response_model or row.request_model, row.provider_name, row.status_code)
    counts = (row.usage_input_tokens, row.usage_output_tokens, cost, duration_ms, row.generation_id)
    return ["" if cell is None else html.escape(str(cell)) for cell in (*cells, *counts)]


_PUBLIC = (
    "<p>The gateway is up. Call it with an unchanged OpenAI SDK at <code>/v1</code>; a key comes from "
    "<code>tidegate keys create --name NAME</code> on the machine it runs on. The ledger is shown only to a browser on "
    "that machine.</p>"
)

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Tidegate</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1d2733 }}
table {{ border-collapse: collapse; width: 100% }} td, th {{ text-align: left; padding: .2rem .6rem .2rem 0 }}
tbody tr {{ border-top: 1px solid #dde3ea }} td {{ font-variant-numeric: tabular-nums }} b {{ margin-left: 1rem }}
.totals b:first-child {{ margin-left: 0 }}
</style></head><body><h1>Tidegate <small>{version}</small></h1>
<p>The honest meter for LLM tokens. <a href="https://github.com/tidegate/tidegate/tree/main/docs">Documentation</a></p>
{ledger}
</body></html>
"""
