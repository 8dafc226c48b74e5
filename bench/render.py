"""Render the tables from a result: `python bench/render.py` writes docs/reference/bench.md and the README's numbers.

python bench/render.py --readme     print the README's block, and put it between its markers
python bench/render.py --check      exit 1 when a rendered text differs from the result
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.record import BenchError, read_result
from harness.tables import publish, readme_block, stale

REPOSITORY = Path(__file__).resolve().parents[1]
RECORD = REPOSITORY / "bench" / "results" / "first_light.json"


def main(arguments: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--result", type=Path, default=RECORD, help="the result to render")
    made.add_argument("--readme", action="store_true", help="print the README's block as well")
    made.add_argument("--check", action="store_true", help="write nothing; exit 1 when a text is stale")
    options = made.parse_args(arguments)
    try:
        result = read_result(options.result)
        if options.check:
            for path in (old := stale(result, REPOSITORY)):
                sys.stderr.write(f"{path} does not show {options.result.name}; `python bench/render.py` writes it\n")
            return 1 if old else 0
        for path in publish(result, REPOSITORY):
            sys.stderr.write(f"written: {path}\n")
        if options.readme:
            sys.stdout.write(readme_block(result, "en"))
    except BenchError as error:
        sys.stderr.write(f"render: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
