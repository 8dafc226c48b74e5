"""`tidegate compare`: published values beside measured ones, as a table, JSON or CSV."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.analyst_files import analyst_files
from tidegate.cli.tables import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.study.compare import Comparison, Line
    from tidegate.study.contradictions import Resolved

KEYS_SHOWN = 4  # of the keys without a measured value for the same reason


@click.command()
@click.argument("what", metavar="[PLACE]...", nargs=-1)
@click.option("--ledger", "ledger_path", type=click.Path(path_type=Path), help="Default: the installation's own.")
@click.option(
    "--source", "source_id", help="Only this source_id. Default: for each value the one nearest to its definition."
)
@analyst_files
@click.option("--computable", is_flag=True, help="Leave out what no source here can give.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def compare(what: tuple[str, ...], ledger_path: Path | None, form: str, computable: bool, **options: object) -> None:
    """Put published values of the 100T study beside what a ledger says, with what sets the two apart.

    PLACE is a figure or table (`fig-1`, "Tab 3"), a claim's id, or a contradiction (`C8`). Default: all of them.
    A verdict is given only where period and definition are the same.

    \b
    Example:
      tidegate compare --ledger public
      tidegate compare fig-1 C14 --ledger public
      tidegate compare --format csv > compare.csv
    """
    import msgspec

    from tidegate.catalog import load_catalog
    from tidegate.config import load_config
    from tidegate.ledger.store import Ledger
    from tidegate.study.compare_run import CompareOptions, run_compare

    config = load_config()
    own = config.ledger_path
    ledger = Ledger.open(ledger_path) if ledger_path else Ledger.open(own) if own.exists() else None
    chosen = msgspec.convert({"wanted": what, **options}, CompareOptions)
    found = run_compare(ledger, load_catalog([config.catalog_path]), chosen, _show_progress)
    if computable:
        kept = tuple(line for line in found.lines if line.measured is not None)
        found = msgspec.structs.replace(found, lines=kept)
    sys.stdout.write(render(found, form))


def _show_progress(done: int, total: int) -> None:
    """Sealed files first, then claims; a terminal sees it, a pipe does not."""
    if total > 20 and sys.stderr.isatty():
        click.echo(f"\rreading and comparing: {done} of {total}", err=True, nl=done == total)


def render(found: "Comparison", form: str) -> str:
    """A comparison as text in one of the three formats. CSV holds the values, not the contradictions."""
    if form == "json":
        import msgspec

        return msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"
    if form == "csv":
        from tidegate.study.compare_table import as_csv

        return as_csv(found)
    return "\n".join(_as_text(found)) + "\n"


def _as_text(found: "Comparison") -> "list[str]":
    from tidegate.study.compare_table import groups_of, summary

    told = [found.about, f"Checked {found.checked}.", *found.sources, summary(found), ""]
    for lines in groups_of(found.lines):
        told += [*_claim(lines), ""]
    for contradiction in found.contradictions:
        told += [*_contradiction(contradiction), ""]
    return [printable(line) for line in told]


def _claim(lines: "Sequence[Line]") -> "list[str]":
    from tidegate.study.compare_table import COLUMNS, cells_of, reasons

    first = lines[0]
    told = [f"{first.place}  {first.title}  ({first.unit}; {first.kind}; {', '.join(first.source)})"]
    told.append(f"  {first.definition}")
    rows = [cells_of(line) for line in lines if line.measured is not None]
    if rows:
        told += [f"  {line}" for line in _aligned([COLUMNS, *rows])]
    for difference in dict.fromkeys(text for line in lines for text in line.differences):
        told.append(f"  - {difference}")
    for reason, keys in reasons(lines).items():
        named = ", ".join(keys[:KEYS_SHOWN]) + (f" and {len(keys) - KEYS_SHOWN} more" if len(keys) > KEYS_SHOWN else "")
        told.append(f"  {named}: {reason}" if named else f"  {reason}")
    if first.contradicts:
        told.append(f"  See {', '.join(first.contradicts)}.")
    return told


def _contradiction(found: "Resolved") -> "list[str]":
    from tidegate.study.compare_table import SIDE_COLUMNS, side_cells

    told = [f"{found.id}  {found.title}", f"  {found.because}"]
    told += [f"  {line}" for line in _aligned([SIDE_COLUMNS, *(side_cells(side) for side in found.sides)])]
    told += [f"  {side.says}: {side.why_not}" for side in found.sides if side.why_not]
    told += [f"  {side.says}: {side.differs}" for side in found.sides if side.differs]
    if found.source_id:
        told.append(f"  Measured from {found.source_id}.")
    return told


def _aligned(rows: "Sequence[Sequence[str]]") -> "list[str]":
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
