"""`tidegate up`: everything on this machine, and one real call to see it work."""

import asyncio
import datetime
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from tidegate.cli import need_extra
from tidegate.cli.call import print_row
from tidegate.cli.keys import accounts_of
from tidegate.cli.serve import silence_stderr, with_settings
from tidegate.config import Config, load_config
from tidegate.core.errors import TidegateError
from tidegate.core.money import format_usd
from tidegate.core.price import cost
from tidegate.core.row import Row
from tidegate.core.usage import Usage

if TYPE_CHECKING:
    from tidegate.catalog import Catalog
    from tidegate.runtime.find_model import FoundModel
    from tidegate.runtime.supervisor import Options, Supervisor

KEY_NAME = "tidegate up"
COMPARED_WITH = ("openai", "anthropic", "deepseek")  # whose first model's list price stands beside a free call


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the command."""

    model: str = ""
    make_call: bool = True
    exit_after_call: bool = False


@click.command(short_help="Start everything here and make one real call.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. Default: gateway.port, else 8080.")
@click.option("--model", default="", help="Model of the first call; `local` keeps it on this machine. Default: found.")
@click.option("--no-call", is_flag=True, help="Start everything, call nothing.")
@click.option("--exit-after-call", is_flag=True, help="Stop after the first call; exit code 0 where it succeeded.")
def up(port: int | None, model: str, no_call: bool, exit_after_call: bool) -> None:
    """Start gateway, console and, where no other model is found, a small local one; make one real call.

    The model: `--model`, else [[endpoints]] of the configuration, else a provider whose key is in the environment
    (provider and price are named before the call), else a running Ollama or vLLM, else the local model.

    \b
    Example:
      tidegate up
      tidegate up --model local --port 8081
    """
    need_extra("serve")
    environ = with_settings(os.environ, port=port)
    wishes = Wishes(model=model, make_call=not no_call, exit_after_call=exit_after_call)
    asyncio.run(_Up(load_config(environ=environ), environ, wishes).run())


class _Up:
    """One run of the command: what is said on stderr, and in what order things happen."""

    def __init__(self, config: Config, environ: Mapping[str, str], wishes: Wishes) -> None:
        from rich.console import Console

        self._config = config
        self._environ = environ
        self._wishes = wishes
        self._err: Console = Console(stderr=True, highlight=False, soft_wrap=True)

    async def run(self) -> None:
        from tidegate.catalog import load_catalog
        from tidegate.ledger.store import Ledger
        from tidegate.runtime.home import HomeLock, checked_port
        from tidegate.runtime.supervisor import Supervisor

        gateway = self._config.gateway
        with HomeLock(self._config):
            port = checked_port(gateway.host, gateway.port)
            Ledger.create(self._config.ledger_path)
            catalog = load_catalog([self._config.catalog_path])
            with self._doing("looking for a model to call"):
                found = await self._find(catalog)
            key = self._fresh_key()  # before the workers start, so that they know it
            supervisor = Supervisor(self._config, self._children(found, port), self._options(found), self.say)
            async with AsyncExitStack() as stack:
                with self._doing("starting gateway, console and model"):
                    await stack.enter_async_context(supervisor)
                self.say(f"gateway and console at {supervisor.url}")
                await self._serve(supervisor, found, key, catalog)
                self.say("stopping: calls in flight are finished; once more Ctrl-C kills them")
            self.say("stopped; nothing is left running")

    def say(self, line: str) -> None:
        """One line of progress, on stderr."""
        try:
            self._err.print(line, markup=False)
        except OSError:
            silence_stderr()

    def _doing(self, what: str) -> AbstractContextManager[object]:
        """Says what is being waited for: as it lasts on a terminal, as a line anywhere else."""
        if self._err.is_terminal:
            return self._err.status(what)
        self.say(f"{what} ...")
        return nullcontext()

    def _fresh_key(self) -> str:
        """The secret of a new key; the one of the last start is revoked, so that no secret need be kept anywhere."""
        from tidegate.accounts.keys import KeyNotFound

        with accounts_of(self._config) as accounts:
            with suppress(KeyNotFound):  # the first start
                accounts.revoke_key(KEY_NAME)
            return accounts.create_key(KEY_NAME).secret

    async def _find(self, catalog: "Catalog") -> "FoundModel | None":
        """The model to call, named with its price before anything is called; None where there is none."""
        from tidegate.runtime import local_model
        from tidegate.runtime.find_model import NoModel, Search, find_model

        search = Search(
            config=self._config,
            environ=self._environ,
            catalog=catalog,
            day=datetime.datetime.now(datetime.UTC).date().isoformat(),
            wanted=self._wishes.model,
        )
        try:
            found = await find_model(search)
        except NoModel as error:
            if self._wishes.model or self._wishes.exit_after_call:
                raise
            self.say(str(error))
            return None
        self.say(f"model: {found.model} at {found.provider} ({found.why}); {found.price_text}")
        if found.local_port:
            self.say(f"licence of the local model: {local_model.LICENCE}")
        return found

    def _children(self, found: "FoundModel | None", port: int) -> dict[str, str]:
        from tidegate.runtime.find_model import hand_over

        return hand_over(found, self._config, {**self._environ, "TIDEGATE_GATEWAY_PORT": str(port)})

    def _options(self, found: "FoundModel | None") -> "Options":
        from tidegate.runtime import local_model
        from tidegate.runtime.supervisor import Options

        extra = (local_model.program(found.local_port),) if found is not None and found.local_port else ()
        return Options(quiet_logs=True, extra=extra)

    async def _serve(self, supervisor: "Supervisor", found: "FoundModel | None", key: str, catalog: "Catalog") -> None:
        from tidegate.runtime.supervisor import Stopped

        if found is not None and found.local_port and supervisor.failed:
            found = None  # said already: the gateway goes on without it
        try:
            if found is not None and self._wishes.make_call:
                row = await supervisor.unless_stopped(self._first_call(supervisor.url, found, key))
                self._compare(row, catalog)
                with self._doing("sealing its row, so that figures hold it"):
                    await supervisor.unless_stopped(supervisor.seal_now())
        except Stopped:
            return
        except TidegateError as error:
            if self._wishes.exit_after_call:
                raise
            self.say(str(error))
        if self._wishes.exit_after_call:
            if found is None:
                raise TidegateError("no model could be called")
            return
        self._next_commands(supervisor.url, key, found)
        await supervisor.stopped()

    async def _first_call(self, url: str, found: "FoundModel", key: str) -> Row:
        """Ask, print question and answer on stdout, and the row that the call left."""
        from tidegate.runtime.first_call import FIRST_QUESTION, OUTPUT_TOKENS_MAX, Call, call_model, fetch_row

        asked = Call(
            url=url,
            key=key,
            model=found.model,
            text=FIRST_QUESTION,
            max_tokens=OUTPUT_TOKENS_MAX,
            ca_file=self._config.gateway.tls_cert_file,
        )
        with self._doing(f"asking {found.model}"):
            parts: list[str] = []
            answer = await call_model(asked, parts.append)
            row = await fetch_row(asked, answer.generation_id)
        click.echo(f"\n  asked    {FIRST_QUESTION}")
        click.echo(f"  answer   {''.join(parts).strip()}")
        click.echo(f"  client   {answer.client}, base_url {url}/v1\n")
        print_row(row, "table")
        return row

    def _compare(self, row: Row, catalog: "Catalog") -> None:
        """Beside a free call: what the same tokens would cost elsewhere, labelled as a comparison."""
        if row.cost_nano_usd != 0 or row.usage_input_tokens is None or row.usage_output_tokens is None:
            return
        usage = Usage(input_tokens=row.usage_input_tokens, output_tokens=row.usage_output_tokens)
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        for name in COMPARED_WITH:
            provider = catalog.providers.get(name)
            price = catalog.price_on(name, provider.first_model, day) if provider is not None else None
            if provider is not None and price is not None:
                amount = format_usd(cost(usage, price), places_min=9)
                click.echo(
                    f"\nFor comparison, not charged: as many tokens at the list price of {provider.first_model} "
                    f"(at {provider.name}, catalog of {price.checked or 'no date'}) would cost USD {amount}."
                )
                return

    def _next_commands(self, url: str, key: str, found: "FoundModel | None") -> None:
        tidegate, settings = _command(), _settings(self._environ)
        if found is None:
            click.echo(_NO_MODEL.format(url=url, tidegate=tidegate, settings=settings))
        else:
            click.echo(_NEXT.format(url=url, key=key, model=found.model, tidegate=tidegate, settings=settings))


def _command() -> str:
    """How this command was called, so that the next ones work when copied: it need not be on PATH."""
    called = Path(sys.argv[0])
    if called.name != "tidegate" or shutil.which("tidegate") == sys.argv[0]:
        return "tidegate"
    return shlex.quote(str(called))


def _settings(environ: Mapping[str, str]) -> str:
    """What another terminal needs first: the folder, since the home may be relative to it, and where the home is."""
    lines = [f"  cd {shlex.quote(str(Path.cwd()))}"]
    lines += [
        f"  export {name}={shlex.quote(environ[name])}"
        for name in ("TIDEGATE_HOME", "TIDEGATE_CONFIG")
        if environ.get(name)
    ]
    return "\n".join(lines)


_NEXT = """
Next, in another terminal:

{settings}
  export OPENAI_BASE_URL={url}/v1
  export OPENAI_API_KEY={key}
  curl $OPENAI_BASE_URL/chat/completions -H "Authorization: Bearer $OPENAI_API_KEY" \\
    -H "Content-Type: application/json" \\
    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Name a river."}}]}}'
  {tidegate} call {model} "Name a river." --stream
  {tidegate} ledger seal             # at once; by itself it comes minutes after a call
  {tidegate} study oss_split         # a figure from your own calls
  {tidegate} report --out report     # all of them on one page: open report/index.html

The key lasts until the next `tidegate up`; `{tidegate} keys create --name NAME` makes a lasting one.
The console is at {url}. Ctrl-C stops everything."""

_NO_MODEL = """
The gateway runs without a model. Next, in another terminal:

{settings}
  {tidegate} report --out report     # a page of public figures: open report/index.html
  {tidegate} catalog models          # what could be served: set a provider's key and start again

The console is at {url}. Ctrl-C stops everything."""
