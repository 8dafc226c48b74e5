"""`tidegate study`: figures from a ledger, as a table, JSON or CSV."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.analyst_files import analyst_files
from tidegate.cli.tables import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.study.result import Result

ANCHORS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
REASONS_MAX = 8  # why figures cannot be drawn, listed without being asked


@click.command()
@click.argument("figures", metavar="[FIGURE]...", nargs=-1)
@click.option("--ledger", "ledger_path", type=click.Path(path_type=Path), help="Default: the installation's own.")
@click.option("--window", help="Days A:B, both included; 2026-01:2026-03 in whole months. Default: all.")
@click.option(
    "--grain", type=click.Choice(["week", "month"]), default="week", show_default=True, help="Length of a period."
)
@click.option(
    "--week-anchor", type=click.Choice(ANCHORS), default="monday", show_default=True, help="First day of weeks."
)
@click.option(
    "--measure",
    type=click.Choice(["tokens", "calls", "spend"]),
    default="tokens",
    show_default=True,
    help="What is summed.",
)
@click.option("--view", default="all", show_default=True, help="all, or top:N: the N largest models of each period.")
@click.option("--free/--no-free", default=True, show_default=True, help="Count `:free` variants.")
@click.option("--cloaked/--no-cloaked", default=True, show_default=True, help="Count models under a code name.")
@click.option("--byok/--no-byok", default=True, show_default=True, help="Count calls on callers' own provider keys.")
@click.option(
    "--without-account",
    multiple=True,
    metavar="ID",
    help="Leave this account out (again for more); see outlier_accounts.",
)
@click.option(
    "--label-rule",
    type=click.Choice(["top", "split", "any"]),
    default="top",
    show_default=True,
    help="A call of several task labels counts under the surest, in parts, or fully under each.",
)
@click.option(
    "--taxonomy",
    type=click.Choice(["ranking", "study"]),
    default="ranking",
    show_default=True,
    help="Tasks by the twelve categories of the public ranking, or by the buckets of the study's text.",
)
@click.option(
    "--size-by",
    type=click.Choice(["total", "active", "price"]),
    default="total",
    show_default=True,
    help="Size of models: parameters in total, those active for one token, or list price.",
)
@click.option(
    "--unit",
    type=click.Choice(["tenant", "user"]),
    default="tenant",
    show_default=True,
    help="Whose return retention counts: accounts', or their end users'.",
)
@click.option("--source", "source_id", help="Only this source_id. Default: each source by itself, never mixed.")
@analyst_files
@click.option("--why", is_flag=True, help="List what each figure lacks that cannot be drawn, also without a FIGURE.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write one file a figure into this folder."
)
def study(
    figures: tuple[str, ...], ledger_path: Path | None, form: str, out: Path | None, why: bool, **options: object
) -> None:
    """Draw FIGUREs from a ledger, such as country_lead, oss_split or category_share. Default: all it can carry.

    JSON is one object for one result, a list for several (a figure is drawn from each source by itself).

    \b
    Example:
      tidegate study country_lead --view top:9 --window 2026-02-01:2026-02-28
      tidegate study oss_split --grain month --format json
      tidegate study category_share --label-rule split --no-free
      tidegate study --format csv --out figures/
    """
    from tidegate.catalog import load_catalog
    from tidegate.config import load_config
    from tidegate.ledger.store import Ledger
    from tidegate.study.command import StudyOptions, run_study

    config = load_config()
    own = config.ledger_path
    ledger = Ledger.open(ledger_path) if ledger_path else Ledger.open(own) if own.exists() else None
    catalog = load_catalog([config.catalog_path])
    outcome = run_study(ledger, catalog, figures, StudyOptions.from_cli(options), _show_progress)
    if figures or why or len(outcome.refused) <= REASONS_MAX:
        for reason in outcome.refused:
            click.echo(f"not computable: {reason}", err=True)
    else:
        count = len(outcome.refused)
        click.echo(
            f"not all figures are computable from these sources, for {count} reasons; --why lists them", err=True
        )
    if out is None:
        sys.stdout.write(render(outcome.results, form))
        return
    out.mkdir(parents=True, exist_ok=True)
    names = [result.figure for result in outcome.results]
    for result in outcome.results:
        several = names.count(result.figure) > 1
        stem = result.file_stem if several else result.figure
        file = out / f"{stem}.{'txt' if form == 'table' else form}"
        file.write_text(render([result], form), "utf-8")
        click.echo(file)


def _show_progress(done: int, total: int) -> None:
    if total > 20 and sys.stderr.isatty():
        click.echo(f"\rreading sealed files: {done} of {total}", err=True, nl=done == total)


def render(results: "Sequence[Result]", form: str) -> str:
    """Results as text in one of the three formats."""
    if form == "json":
        import msgspec

        objects = [result.as_json() for result in results]
        return msgspec.json.format(msgspec.json.encode(objects[0] if len(objects) == 1 else objects)).decode() + "\n"
    if form == "csv":
        from tidegate.study.pivot import as_csv

        return as_csv(results)
    return "\n".join(_as_table(result) for result in results)


def _as_table(result: "Result") -> str:
    from tidegate.study.pivot import pivot

    table = pivot(result)
    widths = [
        max(len(printable(row[place])) for row in (table.columns, *table.rows)) for place in range(len(table.columns))
    ]
    lines = [f"{result.figure}  {result.window}  ({result.source_id})", f"  {result.definition}", ""]
    for row in (table.columns, *table.rows):
        first, *rest = (
            printable(cell).ljust(width) if place == 0 else printable(cell).rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]).rstrip())
    lines += ["", f"n = {result.n:,}; missing share {result.missing_share:.4f}", *result.notes, ""]
    return "\n".join(lines)
