"""`tidegate report`: the static page."""

from pathlib import Path

import click

from tidegate.cli.analyst_files import analyst_files


@click.command()
@click.option("--ledger", "ledger_path", type=click.Path(path_type=Path), help="Default: the installation's own.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("report"), show_default=True, help="Folder."
)
@click.option("--window", help="Days A:B, both included. Default: all.")
@click.option(
    "--public/--no-public", default=None, help="The shipped public series. Default: unless a daily one is imported."
)
@click.option("--png", is_flag=True, help="Also each chart as PNG.")
@click.option("--svg", is_flag=True, help="Also each chart as SVG.")
@analyst_files
def report(
    ledger_path: Path | None, out: Path, window: str | None, public: bool | None, png: bool, svg: bool, **more: object
) -> None:
    """Write one static page of figures that opens from disk, with no network.

    Without rows of your own it shows the public series that comes with Tidegate; with them, both, never mixed.

    \b
    Example:
      tidegate report --out report && xdg-open report/index.html
      tidegate report --ledger L --out DIR --png
    """
    from tidegate.catalog import load_catalog
    from tidegate.config import load_config
    from tidegate.ledger.store import Ledger
    from tidegate.report.command import ReportOptions, write_report

    config, country, prices = load_config(), more["author_country"], more["prices"]
    own = config.ledger_path
    ledger = Ledger.open(ledger_path) if ledger_path else Ledger.open(own) if own.exists() else None
    options = ReportOptions(
        window=window,
        public=public,
        author_country=country if isinstance(country, Path) else None,
        prices=prices if isinstance(prices, Path) else None,
        forms=[form for form, wanted in (("png", png), ("svg", svg)) if wanted],
    )
    for file in write_report(ledger, load_catalog([config.catalog_path]), out, options):
        click.echo(file)
