"""The labeller as a process: `python -m tidegate.labels [--ready-fd FD]`, on `<home>/run/labels.sock`."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from tidegate.config import load_config
from tidegate.core.errors import TidegateError
from tidegate.labels.worker import run


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tidegate.labels", description=__doc__)
    parser.add_argument("--ready-fd", type=int, help="file descriptor that learns `ready`")
    options = parser.parse_args(arguments)
    os.umask(0o077)  # socket and journal are for their owner only
    try:
        config = load_config()
        logging.basicConfig(level=config.gateway.log_level.upper(), format="%(levelname)s %(message)s")
        asyncio.run(run(config, options.ready_fd))
    except TidegateError as error:
        sys.exit(f"tidegate: {error}")


if __name__ == "__main__":
    main()
