"""`tidegate serve`: gateway workers and console, without a local model and without a first call."""

import asyncio
import os
import sys
from collections.abc import Mapping

import click

from tidegate.cli import need_extra
from tidegate.config import Config, load_config


@click.command(short_help="Serve models until Ctrl-C or SIGTERM.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. Default: gateway.port, else 8080.")
@click.option("--workers", type=click.IntRange(1, 1023), help="Gateway processes sharing the port. Default: 1.")
@click.option("--console/--no-console", default=True, show_default=True, help="Serve /api/v1/generation and the page.")
def serve(port: int | None, workers: int | None, console: bool) -> None:
    """Serve models until SIGTERM or Ctrl-C, then finish the calls in flight. Logs go to stderr.

    \b
    Example:
      tidegate keys create --name laptop
      OPENROUTER_API_KEY=... tidegate serve --workers 2
    """
    need_extra("serve")
    environ = with_settings(os.environ, port=port, workers=workers)
    asyncio.run(_serve(load_config(environ=environ), environ, console))


async def _serve(config: Config, environ: Mapping[str, str], console: bool) -> None:
    from tidegate.ledger.store import Ledger
    from tidegate.runtime.home import HomeLock
    from tidegate.runtime.supervisor import Options, Supervisor

    with HomeLock(config):
        Ledger.create(config.ledger_path)
        async with Supervisor(config, environ, Options(console=console), announce) as supervisor:
            announce(f"serving at {supervisor.url} with {config.gateway.workers} worker(s); Ctrl-C drains and stops")
            await supervisor.stopped()
            announce("stopping: no new calls, those in flight are finished; once more Ctrl-C kills them")


def with_settings(environ: Mapping[str, str], *, port: int | None, workers: int | None = None) -> dict[str, str]:
    """The environment with command-line options as the settings they stand for."""
    found = dict(environ)
    for name, value in (("PORT", port), ("WORKERS", workers)):
        if value is not None:
            found[f"TIDEGATE_GATEWAY_{name}"] = str(value)
    return found


def announce(line: str) -> None:
    try:
        click.echo(f"tidegate: {line}", err=True)
    except OSError:
        silence_stderr()


def silence_stderr() -> None:
    """Nobody reads it any more (a closed terminal or pipe), which is no reason to stop serving."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)
