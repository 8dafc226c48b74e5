"""`tidegate call`: one call through the running gateway, with its row."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tidegate.cli import need_extra
from tidegate.cli.keys import accounts_of
from tidegate.config import Config, load_config
from tidegate.core.errors import TidegateError
from tidegate.core.money import format_usd
from tidegate.core.row import Row

KEY_VARIABLES = ("TIDEGATE_API_KEY", "OPENAI_API_KEY")
CALL_KEY_S = 3600.0  # longer than any call


@click.command(short_help="One call through the gateway, with its row.")
@click.argument("model")
@click.argument("text")
@click.option("--stream", is_flag=True, help="Show the answer as it comes.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Longest answer. Default: the model's own limit.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def call(model: str, text: str, stream: bool, max_tokens: int | None, form: str) -> None:
    """Send TEXT to MODEL through the gateway that runs here, and show the answer and its row.

    The key is TIDEGATE_API_KEY, else OPENAI_API_KEY where it holds a key of ours, else one made for this call alone.

    \b
    Example:
      tidegate call local/gemma-3-270m "What makes the tides rise and fall?" --stream
    """
    from tidegate.runtime.first_call import Call, call_model, fetch_row
    from tidegate.runtime.home import read_running

    need_extra("serve")
    config = load_config()
    running = read_running(config)
    if running is None:
        raise TidegateError(f"no gateway runs in {config.home_path}. Start one: tidegate up, or tidegate serve")

    async def both(key: str) -> Row:
        wanted = Call(
            url=running.url,
            key=key,
            model=model,
            text=text,
            stream=stream,
            max_tokens=max_tokens,
            ca_file=config.gateway.tls_cert_file,
        )
        answer = await call_model(wanted, lambda part: click.echo(part, nl=False, err=form != "table"))
        click.echo(err=form != "table")
        return await fetch_row(wanted, answer.generation_id)

    with _own_key(config) as key:
        row = asyncio.run(both(key))
    print_row(row, form)


@contextmanager
def _own_key(config: Config) -> Iterator[str]:
    """A key of ours from the environment, else one for this call alone: calls side by side share none."""
    from tidegate.core.ids import KEY_PREFIX

    for name in KEY_VARIABLES:
        value = os.environ.get(name, "")
        if value and (name == KEY_VARIABLES[0] or value.startswith(KEY_PREFIX)):
            yield value
            return
    with accounts_of(config) as accounts:
        expires_us = time.time_ns() // 1000 + int(CALL_KEY_S * 1e6)  # should this process be killed before it revokes
        made = accounts.create_key("tidegate call", expires_us=expires_us)
        try:
            yield made.secret
        finally:
            accounts.revoke_key(made.key_id)


def print_row(row: Row, form: str) -> None:
    """A row as a small table with a line for each thing worth knowing; JSON and CSV carry every column that is set."""
    import msgspec

    from tidegate.cli.tables import print_table

    if form == "table":
        print_table(["row", row.generation_id], [[name, value] for name, value in _lines(row)], form)
        return
    fields = {name: value for name, value in msgspec.to_builtins(row).items() if not isinstance(value, list)}
    print_table(list(fields), [list(fields.values())], form)
    sys.stdout.flush()


def _lines(row: Row) -> list[tuple[str, str]]:
    cost = "unknown" if row.cost_nano_usd is None else f"USD {format_usd(row.cost_nano_usd, places_min=9)}"
    first = f"; first chunk after {_ms(row.time_to_first_chunk_us)}" if row.is_stream else ""
    served = f"{row.response_model or row.request_model} by {row.provider_name} ({row.endpoint_region or 'no region'})"
    return [
        ("served", served),
        ("why", row.route_reason or ""),
        ("status", f"{row.status_code} {row.error_type or row.finish_reason or ''}"),
        ("tokens", f"{_count(row.usage_input_tokens)} in, {_count(row.usage_output_tokens)} out"),
        ("cost", f"{cost} ({row.cost_basis})"),
        ("price", row.price_id or ""),
        ("time", f"{_ms(row.duration_us)}{first}; gateway's own part {_us(row.overhead_us)}"),
        ("key", row.key_id or ""),
    ]


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"


def _ms(us: int | None) -> str:
    return "unknown" if us is None else f"{us / 1000:,.1f} ms"


def _us(us: int | None) -> str:
    return "unknown" if us is None else f"{us:,} µs"
