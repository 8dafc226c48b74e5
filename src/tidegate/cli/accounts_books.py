"""`tidegate accounts settle|verify`: the books, from the ledger."""

import datetime
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.ledger_options import Form, format_option, ledger_option, open_ledger, progress_bar
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.errors import AccountsError
from tidegate.core.money import format_usd

if TYPE_CHECKING:
    from tidegate.accounts.books.run import Report
    from tidegate.accounts.books.verify import Verification
    from tidegate.accounts.books.verify_entries import Head

SETTLED_WITHIN_S = 20.0
"""On a running installation what was just sealed is settled within this time."""


@click.command()
@ledger_option
@click.option(
    "--lost",
    "lost",
    multiple=True,
    metavar="WORKER",
    help="A worker whose ledger is gone for good: release what it held beyond its last word.",
)
def settle(ledger_path: Path | None, lost: tuple[str, ...]) -> None:
    """Book what is sealed and not booked yet, and release what ended workers hold.

    `tidegate up` and `serve` do this after each sealing. Once or many times, also after a crash: each row counts once.

    \b
    Example:
      tidegate ledger seal && tidegate accounts settle
    """
    from tidegate.accounts.books.lost import give_up, silent_workers
    from tidegate.accounts.books.run import settle as run_settle

    config = load_config()
    if lost:
        with accounts_of(config) as accounts:
            for worker_id in lost:
                click.echo(f"{worker_id}: {format_usd(give_up(accounts.database, worker_id))} USD released")
        return
    ledger = open_ledger(ledger_path)
    with accounts_of(config) as accounts, progress_bar("settling") as progress:
        is_copy = ledger.path.resolve() != config.ledger_path
        report = run_settle(accounts.database, ledger, is_copy=is_copy, progress=progress)
        silent = silent_workers(accounts.database)
    _echo(report)
    for worker in silent:
        click.echo(
            f"note: worker {worker.worker_id} was not heard of for a day and holds "
            f"{format_usd(worker.unspent_nano_usd)} USD; run this where its ledger is, or with --lost where it is gone",
            err=True,
        )


def _echo(report: "Report") -> None:
    for segment in report.segments:
        lost = f", {format_usd(segment.lost_nano_usd)} lost" if segment.lost_nano_usd else ""
        click.echo(
            f"settled {segment.segment_id}: {segment.rows} rows, {format_usd(segment.charged_nano_usd)} USD charged, "
            f"{format_usd(segment.upstream_nano_usd)} upstream{lost}"
        )
    for life in report.lives:
        click.echo(
            f"worker {life.worker_id} has ended: of {format_usd(life.held_nano_usd)} USD it held its rows say "
            f"{format_usd(life.spent_nano_usd)}"
        )
    if not report.segments and not report.lives:
        click.echo("nothing to settle: every sealed call is booked")


@click.command()
@ledger_option
@format_option
@click.option("--since", "since_day", metavar="DAY", help="Compare rows since this UTC day only, e.g. 2026-11-01.")
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="TENANT:NUMBER:DIGEST",
    help="What a statement told of a tenant's newest entry: still so? May be given more than once.",
)
def verify(ledger_path: Path | None, form: Form, since_day: str | None, heads: tuple[str, ...]) -> None:
    """Prove that rows = entries = balances, per tenant and day; name whatever is not as it was booked.

    The first line is where it began, down to the segment. Exit code 0 where all agrees, 1 where anything differs.
    Changes nothing; a running installation may go on.

    \b
    Example:
      tidegate accounts verify
      tidegate accounts verify --since 2026-11-01 --format json
    """
    from tidegate.accounts.books.verify import verify as run_verify
    from tidegate.runtime.home import read_running

    config, told = load_config(), [_head(text) for text in heads]
    ledger = open_ledger(ledger_path)
    wait_s = SETTLED_WITHIN_S if read_running(config) else 0.0
    with accounts_of(config) as accounts, progress_bar("verifying") as progress:
        result = run_verify(
            accounts.database, ledger, since_day=_day(since_day), heads=told, wait_s=wait_s, progress=progress
        )
    names = ("day", "tenant_id", "what", "segment_id", "number", "expected", "seen")
    if form != "table":
        print_table(names, [[getattr(one, name) for name in names] for one in result.differences], form)
    else:
        _echo_result(result)
    if result.count:
        first = result.differences[0]
        click.echo(f"{result.count} difference{'s' * (result.count != 1)}; first: {first.what}", err=True)
        sys.exit(1)


def _day(text: str | None) -> str:
    try:
        return datetime.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise AccountsError(f"--since {text!r} is no day; write for example 2026-11-01") from None


def _head(text: str) -> "Head":
    from tidegate.accounts.books.verify_entries import Head

    match = re.fullmatch(r"(.+):(\d{1,18}):([0-9a-f]{16,64})", text)
    if match is None:
        raise AccountsError(
            f"--head {text[:100]!r} is not TENANT:NUMBER:DIGEST; a statement tells all three, the digest as at least "
            "16 hexadecimal digits"
        )
    return Head(tenant_id=match[1], number=int(match[2]), digest=match[3])


def _echo_result(result: "Verification") -> None:
    for one in result.differences:
        facts: list[Cell] = [one.day, one.tenant_id and f"tenant {one.tenant_id}", one.segment_id]
        place = ", ".join(str(fact) for fact in facts if fact)
        number = f" (no. {one.number})" if one.number else ""
        click.echo(f"{one.what}: {place}{number}\n  expected  {one.expected}\n  seen      {one.seen}")
    if not result.count:
        click.echo(
            f"ok: {result.rows} rows in {result.segments} segments, {result.transactions} transactions of "
            f"{result.tenants} tenants agree"
        )
    if result.others:
        click.echo(f"note: {result.others} transactions are of other ledgers' rows; run this where those are")
    if result.workers_waiting and not result.count:
        click.echo("note: workers are at work or not settled yet: what they hold was not compared")
