"""`tidegate audit`: what another gateway misbilled, from its own logs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.ledger_options import Form, format_option, progress_bar
from tidegate.cli.tables import Cell, print_table, printable

if TYPE_CHECKING:
    from tidegate.accounts.audit import Audit

PAGE = "tidegate-audit.html"
FORMS = (
    *("litellm", "new-api", "one-api", "openrouter-activity", "openrouter-days", "openrouter-generations"),
    *("langfuse", "helicone", "tidegate"),
)


@click.command(epilog="docs/how-to/audit-a-log.md says how to get each log, and what is looked for.")
@click.argument("logs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--as", "said", type=click.Choice(FORMS), help="Whose logs they are.  [default: told from each file]")
@click.option("--sample", is_flag=True, help="Audit the composed logs that come with Tidegate.")
@click.option(
    "--quota-per-usd",
    type=click.IntRange(min=1),
    default=500_000,
    show_default=True,
    help="one-api's `quota` in a USD.",
)
@click.option(
    "--catalog",
    "catalogs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="Folder with a `prices.csv` that wins over the published prices.",
)
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False), default=Path(PAGE), show_default=True, help="HTML file."
)
@click.option("--no-page", is_flag=True, help="Write no page.")
@click.option("--calls", type=click.IntRange(min=0), default=10, show_default=True, help="Calls in the table.")
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Of table and page.")
@format_option
def audit(  # noqa: PLR0913 - one parameter an option
    logs: tuple[Path, ...],
    said: str | None,
    sample: bool,
    quota_per_usd: int,
    catalogs: tuple[Path, ...],
    page: Path,
    no_page: bool,
    calls: int,
    language: str,
    form: Form,
) -> None:
    """Show what another gateway misbilled, call by call and in total, and why, from its own LOGS.

    Reads LiteLLM spend logs, one-api and new-api logs and OpenRouter activity: CSV, JSON, JSON lines, a SQLite database
    or an SQL dump; a folder stands for the files in it. Writes a page beside the table. Nothing leaves the machine.

    \b
    Example:
      tidegate audit --sample
      tidegate audit spend_logs.json
      tidegate audit one-api.db --language zh --page report.html
      tidegate audit activity.csv --format csv > findings.csv
    """
    from tidegate.accounts.audit import Options
    from tidegate.accounts.audit import audit as run
    from tidegate.accounts.audit.page import render
    from tidegate.accounts.audit.sample import LABEL, sample_files
    from tidegate.accounts.audit.tongue import say, speaking

    files = sample_files() if sample else _files(logs)
    with progress_bar("auditing") as progress:
        found = run(files, Options(form=said or "", quota_per_usd=quota_per_usd, catalog=catalogs), progress)
    with speaking(language):
        label = say(LABEL) if sample else ""
        _print(found, form, calls, label)
        if not no_page:
            page.write_text(render(found, label), "utf-8")
            click.echo(say("the page: {file}", file=page), err=form != "table")


def _files(logs: tuple[Path, ...]) -> list[Path]:
    """The files named, and those below folders named; hidden ones are left out."""
    found: list[Path] = []
    for path in logs:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        else:
            found.append(path)
    if not found:
        raise click.UsageError("name a log, or try it on the composed ones: tidegate audit --sample")
    return found


def _print(found: "Audit", form: Form, calls: int, label: str) -> None:
    from tidegate.accounts.audit import words
    from tidegate.accounts.audit.tongue import say

    if form == "csv":
        print_table(words.CSV_COLUMNS, [words.csv_row(finding) for finding in found.findings], form)
        return
    if form == "json":
        import msgspec

        from tidegate.accounts.audit.as_json import as_json

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(as_json(found)), indent=2).decode() + "\n")
        return
    for line in (*([label] if label else []), *found.files, "", words.headline(found), ""):
        click.echo(printable(line))
    causes: list[list[Cell]] = [list(words.cause_row(part)) for part in found.by_cause()]
    if causes:
        print_table([say(name) for name in words.CAUSE_COLUMNS], causes, form)
    mistakes = list(found.mistakes())
    if calls and mistakes:
        shown: list[list[Cell]] = [
            list(words.call_row(finding, one_file=len(found.files) == 1)) for finding in mistakes[:calls]
        ]
        numbers = {"shown": len(shown), "all": f"{len(mistakes):,}"}
        title = say("the largest differences: {shown} of {all} calls", **numbers)
        click.echo("")
        print_table([say(name) for name in words.CALL_COLUMNS], shown, form, title=title)
    click.echo("")
    for note in (*words.remarks(found), *found.notes):
        click.echo(say("note: ") + printable(note))
