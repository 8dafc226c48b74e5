"""Options that the commands of `tidegate index` share, and how each of them prints its rows."""

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli.tables import Cell, print_table

if TYPE_CHECKING:
    from tidegate.index.regional import Index

CHOSEN_GROUPS = "such as A:30;C:15;S:15;G:10; default: the framework's."
DIGITS = 4  # of numbers in CSV and JSON; ranks and hashes come from unrounded ones

Shown = Callable[..., None]


def choices(command: Shown) -> Shown:
    """The choices behind an index, and the form of the output, as options of a command."""
    for option in reversed(
        (
            click.option(
                "--china",
                type=click.Choice(["telemetry", "national"]),
                default="telemetry",
                show_default=True,
                help="China's users by Microsoft's telemetry or by the national survey.",
            ),
            click.option("--map", "region_map", help="Region map; default: North Africa counts as Africa."),
            click.option(
                "--normalisation",
                type=click.Choice(["ratio", "minmax", "root", "log", "rank"]),
                default="ratio",
                show_default=True,
                help="How groups come onto one scale.",
            ),
            click.option(
                "--mean",
                type=click.Choice(["arithmetic", "geometric"]),
                default="arithmetic",
                show_default=True,
                help="How groups become one number.",
            ),
            click.option("--weights", help=f"Weights of the groups with data, {CHOSEN_GROUPS}"),
            click.option(
                "--facts",
                type=click.Path(path_type=Path, file_okay=False, exists=True),
                help="A folder with your own facts.csv and sources.csv.",
            ),
            click.option(
                "--traffic-from",
                type=click.Path(path_type=Path, exists=True),
                help="A ledger whose tokens by caller's country stand for the absent traffic.",
            ),
            click.option("--runs", type=int, default=10_000, show_default=True, help="Runs behind intervals."),
            click.option("--seed", type=int, default=20260525, show_default=True, help="Of the runs."),
            click.option(
                "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
            ),
        )
    ):
        command = option(command)
    return command


def drawn_to(what: str) -> Callable[[Shown], Shown]:
    """The option --chart FILE."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option("--chart", "chart", type=path, help=f"Draw {what} into this .svg, .png or .json.")


def built(options: dict[str, Any]) -> "tuple[Index, str]":
    """The index of the options, and the form of the output."""
    from tidegate.index.evidence import FACTS
    from tidegate.index.regional import DEFAULT_MAP, Spec, build
    from tidegate.index.regional_diff import parse_weights

    form = str(options.pop("form"))
    facts = options.pop("facts") or FACTS
    weights = options.pop("weights")
    traffic = options.pop("traffic_from")
    spec = Spec(
        **{**options, "region_map": options["region_map"] or DEFAULT_MAP},
        weights=parse_weights(weights) if weights else None,
    )
    return build(spec, facts, ledger_tokens(traffic) if traffic else None), form


def ledger_tokens(path: Path) -> dict[str, float]:
    """Tokens of a ledger by alpha-3 country of the caller's address."""
    from tidegate.catalog import load_catalog
    from tidegate.index.regional_ledger import tokens_by_country
    from tidegate.ledger.store import Ledger

    return tokens_by_country(Ledger.open(path), load_catalog())


def show(
    index: "Index",
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    form: str,
    *,
    more: Sequence[str] = (),
    drawn: tuple[Sequence[str], Sequence[Sequence[Cell]]] | None = None,
) -> None:
    """Rows with what must stand beside them. drawn: other columns for the table, where all would be too wide."""
    import msgspec

    from tidegate.index.regional_tell import about

    said = about(index)
    notes = [*more, *index.notes()]
    rounded = [[round(cell, DIGITS) if isinstance(cell, float) else cell for cell in row] for row in rows]
    if form == "json":
        found = {"about": said, "notes": notes, "rows": [dict(zip(columns, row, strict=True)) for row in rounded]}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    elif form == "csv":
        beside = {
            key: "; ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            for key, value in said.items()
        }
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([*columns, *beside])
        writer.writerows([*row, *beside.values()] for row in rounded)
    else:
        shown_columns, shown_rows = drawn or (columns, rounded)
        print_table(shown_columns, shown_rows, "table")
        click.echo("\n" + "\n".join(notes))
