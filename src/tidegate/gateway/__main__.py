"""`python -m tidegate.gateway`: one worker process."""

import argparse
import sys

from tidegate.config import load_config
from tidegate.core.errors import TidegateError
from tidegate.gateway.worker import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tidegate.gateway", description="One gateway worker.")
    parser.add_argument("--worker", type=int, default=0, help="number of this worker, unique in the gateway")
    parser.add_argument("--ready-fd", type=int, help="file descriptor that is told `ready` once calls are accepted")
    options = parser.parse_args()
    try:
        run(load_config(), options.worker, options.ready_fd)
    except TidegateError as error:
        print(f"tidegate: {error}", file=sys.stderr)
        sys.exit(1)


main()
