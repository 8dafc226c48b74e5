"""`tidegate ledger import` and `imports`: other systems' records, and what their imports said."""

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.ledger_options import Form, format_option, ledger_option, open_ledger, progress_bar
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config

if TYPE_CHECKING:
    from tidegate.ledger.imports import ImportReport


@click.command("import", epilog="`tidegate ledger import formats` says what each format is.")
@click.argument("source_format", metavar="FORMAT")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--into", "ledger_path", type=click.Path(path_type=Path), help="Ledger; made if absent.  [default: configured]"
)
@click.option("--source-id", help="Name the records go by; sources are never mixed unseen.")
@click.option("--as-of", metavar="TIME", help="When published values were fetched (UTC); restated ones win if newer.")
@click.option(
    "--mapping", type=click.Path(dir_okay=False, path_type=Path), help="YAML file of the format `table`: our columns."
)
@click.option(
    "--quota-per-usd",
    type=click.IntRange(min=1),
    default=500_000,
    show_default=True,
    help="one-api's `quota` in a USD.",
)
@format_option
def import_records(  # noqa: PLR0913 - one parameter an option
    source_format: str,
    files: tuple[Path, ...],
    ledger_path: Path | None,
    source_id: str | None,
    as_of: str | None,
    mapping: Path | None,
    quota_per_usd: int,
    form: Form,
) -> None:
    """Bring other systems' records in: FORMAT is `litellm`, `langfuse`, `otlp`, `one-api`, `trace` or another.

    FORMAT `formats` lists them all, with what each brings.

    Importing the same file again changes nothing. What is left out or not mapped is counted and said.

    \b
    Example:
      tidegate ledger import formats
      tidegate ledger import litellm spend_logs.json --into litellm
      tidegate ledger import openrouter-daily model_daily_usage.csv --into public
    """
    from tidegate.ledger.imports import FORMATS, Options, check_files, run_import
    from tidegate.ledger.store import Ledger

    if source_format == "formats" and not files:
        rows: list[list[Cell]] = [[name, known.brings, known.text, known.source] for name, known in FORMATS.items()]
        print_table(["format", "brings", "files", "described in"], rows, form)
        return
    if source_format not in FORMATS:
        raise click.BadParameter(f"{source_format!r} is none of {', '.join(FORMATS)}", param_hint="FORMAT")
    if not files:
        raise click.BadParameter(f"name a file: `tidegate ledger import {source_format} FILE...`", param_hint="FILES")
    check_files(files)
    opened = Ledger.create(ledger_path or load_config().ledger_path)
    options = Options(source_id=source_id, as_of=_moment(as_of), mapping=mapping, quota_per_usd=quota_per_usd)
    with progress_bar("importing") as progress:
        report = run_import(source_format, files, opened, options=options, progress=progress)
    _print_report(report, form)


def _moment(text: str | None) -> datetime.datetime | None:
    """A UTC time without its zone. Raises BadParameter."""
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time such as 2026-05-12 or 2026-05-12T02:00:00Z") from None
    return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _print_report(report: "ImportReport", form: Form) -> None:
    import msgspec

    if form == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
    elif form == "csv":
        rejected: list[list[Cell]] = [["rejected", item.count, item.reason, item.first] for item in report.rejected]
        counts: list[list[Cell]] = [
            [name, getattr(report, name), "", ""] for name in ("read", "added", "known", "skipped", "restated")
        ]
        notes: list[list[Cell]] = [["note", None, note, ""] for note in report.notes]
        print_table(["what", "records", "text", "first"], [*counts, *rejected, *notes], form)
    else:
        for line in report.lines():
            click.echo(line)


@click.command()
@ledger_option
@format_option
def imports(ledger_path: Path | None, form: Form) -> None:
    """List what was imported: when, what was rejected, and how often the source restated its values.

    \b
    Example:
      tidegate ledger imports --ledger public
    """
    from tidegate.ledger.imports import read_reports

    opened = open_ledger(ledger_path)
    entries = {entry.unit: entry for entry in opened.entries()}
    rows: list[list[Cell]] = [
        [
            entries[unit].created,
            report.format,
            ", ".join(report.source_ids),
            report.added,
            sum(item.count for item in report.rejected),
            report.restated,
            entries[unit].origin,
        ]
        for unit, report in read_reports(opened).items()
    ]
    print_table(["imported", "format", "source", "added", "rejected", "restated", "from"], rows, form)


@click.command()
@ledger_option
@click.option("--source-id", help="Only this source.")
@format_option
def vintages(ledger_path: Path | None, source_id: str | None, form: Form) -> None:
    """List published values that their source restated, in every vintage the ledger holds.

    The newest is what figures use.

    \b
    Example:
      tidegate ledger vintages --ledger public --source-id openrouter-authors
    """
    from tidegate.ledger.imports.restated import restated

    found = restated(open_ledger(ledger_path), source_id)
    rows: list[list[Cell]] = [
        [item.source_id, item.list, item.name, item.as_of.isoformat(), item.tokens, "yes" if item.newest else ""]
        for item in found
    ]
    print_table(["source", "list", "name", "as of", "tokens", "used"], rows, form)
    if not found and form == "table":
        click.echo("no value was restated", err=True)
