"""What the commands of `tidegate ledger` share: naming a ledger and a form, opening, a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tidegate.config import load_config

if TYPE_CHECKING:
    from tidegate.ledger.store import Ledger

Form = Literal["table", "json", "csv"]

ledger_option = click.option(
    "--ledger",
    "ledger_path",
    type=click.Path(path_type=Path),
    help="Folder of the ledger.  [default: the one of the configuration]",
)
format_option = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)


def open_ledger(path: Path | None) -> "Ledger":
    from tidegate.ledger.store import Ledger

    return Ledger.open(path or load_config().ledger_path)


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, for people; yields a callback of (done, to do)."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)
