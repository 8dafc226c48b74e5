"""`python bench/torture`: rounds of hostile programs; resumable, since a program follows from its seed alone.

python bench/torture run --setting sqlite-1 --programs 200 --chunk-s 600
python bench/torture run --setting postgres-4 --seed 4711 --programs 10
python bench/torture mistakes
python bench/torture dollar
python bench/torture table
"""

import argparse
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "bench"), str(REPOSITORY / "tests")]

from torture.place import SETTINGS  # noqa: E402 - after the path is set


def main() -> int:
    parser = argparse.ArgumentParser(prog="python bench/torture", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="rounds on one setting, or on all in turn; goes on where it stopped")
    run.add_argument("--setting", choices=[*SETTINGS, "all"], default="all")
    run.add_argument("--programs", type=int, default=167, help="in all, on each setting")
    run.add_argument("--chunk-s", type=float, default=570.0, help="begin no round after so many seconds")
    run.add_argument("--seed", type=int, help="of the first program, instead of where the last chunk ended")
    run.add_argument("--keep", action="store_true", help="print the log of an installation that failed")
    mistakes = commands.add_parser("mistakes", help="make mistakes in the product on purpose: each must be found")
    mistakes.add_argument("--only", help="one mistake")
    commands.add_parser("dollar", help="100 calls at one time against one dollar, on each store")
    commands.add_parser("table", help="render docs/reference/torture.md from what was run so far")
    options = parser.parse_args()
    from torture import run as runs

    if options.command == "run":
        return runs.run(options)
    if options.command == "mistakes":
        return runs.run_mistakes(options.only)
    if options.command == "dollar":
        from torture.dollar import run_dollar

        return run_dollar()
    from torture import page

    page.write()
    return 0


sys.exit(main())
