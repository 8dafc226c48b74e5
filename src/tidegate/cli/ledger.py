"""`tidegate ledger`: what is in a ledger, sealing, verification, export and import."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tidegate.cli.ledger_import import import_records, imports, vintages
from tidegate.cli.ledger_options import Form, format_option, ledger_option, open_ledger, progress_bar
from tidegate.cli.tables import Cell, print_table
from tidegate.core.errors import LedgerError
from tidegate.core.money import format_usd

if TYPE_CHECKING:
    from tidegate.ledger.recover import Recovered
    from tidegate.ledger.seal import Sealed


@click.group()
def ledger() -> None:
    """Look into a ledger, seal its journal, verify, export and import.

    \b
    Example:
      tidegate ledger stat
      tidegate ledger seal
      tidegate ledger verify --ledger .tidegate/ledger
    """


@ledger.command()
@ledger_option
@format_option
def stat(ledger_path: Path | None, form: Form) -> None:
    """Show what the ledger holds: files, calls by day and source, and what is not sealed yet.

    csv prints the days only. Sums over sealed rows; "unsealed calls" wait in the journal.

    \b
    Example:
      tidegate ledger stat --format json
    """
    import msgspec

    from tidegate.ledger.stat import DayStat, ledger_stat

    with progress_bar("reading"):
        found = ledger_stat(open_ledger(ledger_path))
    if form == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return
    if form == "table":
        facts: list[list[Cell]] = [
            [name.replace("_", " "), getattr(found, name)]
            for name in found.__struct_fields__
            if name not in ("days", "oddities")
        ]
        print_table(["ledger", "value"], facts, form)
        click.echo()
    names = DayStat.__struct_fields__
    days: list[list[Cell]] = [[getattr(day, name) for name in names] for day in found.days]
    if form == "table":
        names = ("day", "source", "calls", "input", "output", "cost USD", "upstream USD", "cost unknown")
        days = [[*row[:5], _usd(row[5]), _usd(row[6]), row[7]] for row in days]
    print_table(names, days, form)
    if form == "table":
        for odd in found.oddities:
            click.echo(f"note: {odd.calls:,} of {odd.kind.replace('_', ' ')}: {odd.text} (e.g. {odd.example})")


def _usd(amount: Cell) -> str:
    return format_usd(int(amount)) if amount is not None else ""


@ledger.command()
@ledger_option
@click.option("--closed-only", is_flag=True, help="Leave alone what a running gateway is writing.")
def seal(ledger_path: Path | None, closed_only: bool) -> None:
    """Seal the journal into Parquet: every call that has ended, also those of a running gateway.

    What dead writers left is settled first. A running gateway is asked to go on in a new segment, which takes it about
    a second.

    \b
    Example:
      tidegate ledger seal
    """
    from tidegate.ledger.rotation import ask_for_rotation
    from tidegate.ledger.seal import seal as run_seal

    opened = open_ledger(ledger_path)
    for path in () if closed_only else ask_for_rotation(opened.journal_path):
        click.echo(f"{path.name}: its writer does not answer; this segment waits", err=True)
    with progress_bar("sealing") as progress:
        report = run_seal(opened, progress=progress)
    _echo_recovered(report.recovered)
    for sealed in report.sealed:
        _echo_sealed(sealed)
    if not report.sealed:
        click.echo("nothing to seal: the journal holds no calls that have ended")


def _echo_recovered(recovered: "Sequence[Recovered]") -> None:
    for segment in recovered:
        click.echo(
            f"recovered {segment.segment_id}: {segment.outcomes} calls complete, "
            f"{len(segment.calls_settled)} cut off (rows of unknown cost), {len(segment.damaged)} damaged lines"
        )
        for damaged in segment.damaged:
            click.echo(f"  line {damaged.line_no} (byte {damaged.byte_offset}): {damaged.reason}")


def _echo_sealed(sealed: "Sealed") -> None:
    if sealed.was_sealed:
        click.echo(f"{sealed.segment_id}: was sealed already; its journal file is put away")
        return
    labels = f", {sealed.labels} labels" if sealed.labels else ""
    click.echo(
        f"sealed {sealed.segment_id}: {sealed.rows} rows, {sealed.attempts} attempts{labels}, {len(sealed.files)} files"
    )
    for damaged in sealed.damaged:
        click.echo(f"  damaged line {damaged.line_no} (byte {damaged.byte_offset}): {damaged.reason}")
    for call in sealed.duplicates:
        click.echo(f"  left out, was recorded before: {call}")
    for call in sealed.calls_settled:
        click.echo(f"  outcome lost, row of unknown cost: {call}")


@ledger.command()
@ledger_option
def recover(ledger_path: Path | None) -> None:
    """Settle and close the journal segments of dead writers, without sealing. `seal` does this too.

    \b
    Example:
      tidegate ledger recover
    """
    from tidegate.ledger.recover import recover as run_recover

    recovered = run_recover(open_ledger(ledger_path).journal_path)
    _echo_recovered(recovered)
    if not recovered:
        click.echo("nothing to recover: no open segment without a living writer")


@ledger.command()
@ledger_option
@format_option
@click.option("--quick", is_flag=True, help="Check bytes and hashes only; do not read rows.")
def verify(ledger_path: Path | None, form: Form, quick: bool) -> None:
    """Check every sealed byte, the manifest's chain and the journal; name whatever is not as it was sealed.

    Exit code 0 where all is well, 1 where anything was found.

    \b
    Example:
      tidegate ledger verify --ledger .tidegate/ledger
    """
    from tidegate.ledger.verify import verify as run_verify

    opened = open_ledger(ledger_path)
    with progress_bar("verifying") as progress:
        result = run_verify(opened, quick=quick, progress=progress)
    if form != "table":
        rows = [[found.path, found.problem, found.expected, found.seen] for found in result.findings]
        print_table(["path", "problem", "expected", "seen"], rows, form)
    else:
        for found in result.findings:
            click.echo(f"{found.path}: {found.problem}\n  expected  {found.expected}\n  seen      {found.seen}")
        if not result.findings:
            lost = f" ({result.damaged_lines} journal lines were lost before sealing)" if result.damaged_lines else ""
            click.echo(f"ok: {result.files} files, {result.rows} rows, head {result.head}{lost}")
    if result.findings:
        count = len(result.findings)
        click.echo(f"{count} finding{'s' * (count != 1)} in {opened.path}", err=True)
        sys.exit(1)


@ledger.command()
@ledger_option
@click.option(
    "--format", "file_format", type=click.Choice(["csv", "jsonl", "parquet"]), required=True, help="Form of the file."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")
@click.option("--from", "from_day", metavar="DAY", help="First UTC day, e.g. 2026-03-23.")
@click.option("--to", "to_day", metavar="DAY", help="Last UTC day, included.")
@click.option(
    "--table", type=click.Choice(["rows", "attempts", "labels"]), default="rows", show_default=True, help="Which table."
)
def export(
    ledger_path: Path | None,
    file_format: Literal["csv", "jsonl", "parquet"],
    out: Path,
    from_day: str | None,
    to_day: str | None,
    table: Literal["rows", "attempts", "labels"],
) -> None:
    """Write sealed rows, attempts or labels to one file.

    \b
    Example:
      tidegate ledger export --format csv --out march.csv --from 2026-03-01 --to 2026-03-31
    """
    from tidegate.ledger.export import export as run_export

    opened = open_ledger(ledger_path)
    with progress_bar("exporting"):
        count = run_export(opened, out, file_format=file_format, table=table, from_day=from_day, to_day=to_day)
    click.echo(f"{count} {table} written to {out}; calls still in the journal are not among them", err=True)


@ledger.command()
@click.argument("generation_id")
@ledger_option
@format_option
def show(generation_id: str, ledger_path: Path | None, form: Form) -> None:
    """Show one call, sealed or not: its row, then its attempts.

    \b
    Example:
      tidegate ledger show 0199f3a2-5b6c-7001-8f2a-0400a1b2c3d4
    """
    import msgspec

    from tidegate.ledger.lookup import find_generation

    found = find_generation(open_ledger(ledger_path), generation_id)
    if found is None:
        raise LedgerError(
            f"no call {generation_id!r} in the ledger; a call still under way has no row yet. "
            "The id is the `id` of the reply and its header X-Generation-Id."
        )
    if form == "json":
        text = msgspec.json.encode({"row": found.row, "attempts": found.attempts})
        sys.stdout.write(msgspec.json.format(text, indent=2).decode() + "\n")
        return
    print_table(["column", "value"], _cells(found.row), form)
    for attempt in found.attempts if form == "table" else []:
        click.echo()
        print_table([f"attempt {attempt.attempt_no}", "value"], _cells(attempt), form)


def _cells(record: object) -> list[list[Cell]]:
    """Columns that have a value. Integers of identity and time are not grouped by thousands."""
    import msgspec

    values = msgspec.to_builtins(record)
    cells: list[list[Cell]] = []
    for name, value in values.items():
        shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        cells.append([name, f"{shown}  ({format_usd(value)} USD)" if name.endswith("_nano_usd") else shown])
    return cells


ledger.add_command(import_records)
ledger.add_command(imports)
ledger.add_command(vintages)
