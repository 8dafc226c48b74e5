"""The console as a process: `python -m tidegate.console [--ready-fd FD]`, on `<home>/run/console.sock`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tidegate.accounts.keys import Accounts, open_accounts
from tidegate.accounts.money.hook_sender import send_forever
from tidegate.config import Config, load_config
from tidegate.console.app import create_app
from tidegate.core.errors import ConfigError, TidegateError

SOCKET_NAME = "console.sock"
UNIX_PATH_BYTES_MAX = 100  # the kernel's limit is 108 on Linux, 104 elsewhere
LISTEN_S = 10.0


async def serve(config: Config, ready_fd: int | None) -> None:
    """Serve on the socket until SIGTERM or SIGINT. One process: granian's embedded server, on this event loop."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    socket_path = config.run_path / SOCKET_NAME
    _make_room(socket_path)
    server = Server(create_app(config), uds=socket_path, interface=Interfaces.ASGI, log_enabled=False, websockets=False)
    server.bind_uds = socket_path  # as we say it: granian makes it absolute, which may be too long for a socket
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    telling = asyncio.create_task(send_forever(partial(_accounts, config)), name="low-balance hooks")
    serving = asyncio.create_task(server.serve())
    ready = asyncio.create_task(_tell_when_listening(socket_path, ready_fd))
    await serving
    ready.cancel()
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)


def _accounts(config: Config) -> Accounts:
    return open_accounts(config.home_path, config.accounts.database_url, config.accounts.secret_file)


def _make_room(socket_path: Path) -> None:
    """A folder that only its owner may enter, and no socket of an earlier run in it. Raises ConfigError."""
    if len(os.fsencode(socket_path)) > UNIX_PATH_BYTES_MAX:
        raise ConfigError(
            f"{socket_path} is too long for a Unix socket (at most {UNIX_PATH_BYTES_MAX} bytes). "
            "Use a shorter home: TIDEGATE_HOME=FOLDER"
        )
    socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket_path.parent.chmod(0o700)
    socket_path.unlink(missing_ok=True)


async def _tell_when_listening(socket_path: Path, ready_fd: int | None) -> None:
    async with asyncio.timeout(LISTEN_S):
        while True:
            try:
                _, writer = await asyncio.open_unix_connection(socket_path)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            break
    os.chmod(socket_path, 0o600)  # noqa: PTH101 - one system call
    if ready_fd is not None:
        os.write(ready_fd, b"ready\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tidegate.console", description=__doc__)
    parser.add_argument("--ready-fd", type=int, help="file descriptor that learns `ready`")
    options = parser.parse_args(arguments)
    os.umask(0o077)  # the socket is for its owner only
    try:
        config = load_config()
        logging.basicConfig(level=config.gateway.log_level.upper(), format="%(levelname)s console: %(message)s")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        asyncio.run(serve(config, options.ready_fd))
    except TidegateError as error:
        sys.exit(f"tidegate: {error}")
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0)  # a thread of granian's may still be ending, and would abort the interpreter while that ends


if __name__ == "__main__":
    main()
