"""The files of an analyst that win over the catalog, as options of every command that draws figures."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., None])


def analyst_files(command: Command) -> Command:
    """`--author-country` and `--prices`."""
    file = click.Path(path_type=Path, dir_okay=False)
    countries = click.option(
        "--author-country",
        type=file,
        help="CSV author,organisation,iso3,confidence,note that wins over the catalog's countries.",
    )
    columns = "model, snapshot_date or valid_from, input_usd_per_mtok, output_usd_per_mtok"
    prices = click.option("--prices", type=file, help=f"CSV of dated list prices ({columns}).")
    return countries(prices(command))
