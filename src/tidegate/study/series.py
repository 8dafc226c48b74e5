"""Our own public series: weekly tokens by author, aggregated from OpenRouter's public rankings.

`data/author_weekly.csv` is shipped, so that a new installation shows real figures with no network and no traffic.
Rebuild it with `python -m tidegate.study.series FILE...` (files of the import `openrouter-daily`), which prints it.
"""

import csv
import datetime as dt
import importlib.resources
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import msgspec

from tidegate.core.errors import CatalogError
from tidegate.core.facts import Weights

NAME = "author_weekly.csv"
COLUMNS = ("week", "author", "weights", "is_free", "tokens")


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens (input plus output) of one author's models in the week that begins on Monday `week`, UTC."""

    week: dt.date
    author: str
    weights: Weights
    is_free: bool
    tokens: int


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A public series and its header: `source_id`, `source`, `checked` and any number of `trap` lines."""

    source_id: str
    source: str
    checked: str
    traps: tuple[str, ...]
    facts: tuple[Fact, ...]


def read_shipped() -> Series:
    """The series that comes with the product."""
    return parse_series((importlib.resources.files("tidegate") / "data" / NAME).read_text("utf-8"), NAME)


def parse_series(text: str, name: str) -> Series:
    """Header lines `# key: value`, then CSV. Raises CatalogError naming the line that is not as it should be."""
    head: dict[str, list[str]] = {"source_id": [], "source": [], "checked": [], "trap": []}
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    for line in lines[:start]:
        word, _, rest = line[1:].strip().partition(": ")
        if word in head:
            head[word].append(rest)
    for word in ("source_id", "source", "checked"):
        if len(head[word]) != 1:
            raise CatalogError(f"{name}: the header needs exactly one line `# {word}: ...`")
    reader = csv.DictReader(io.StringIO("\n".join(lines[start:])))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise CatalogError(f"{name}, line {start + 1}: the columns must be {','.join(COLUMNS)}")
    facts = []
    for number, row in enumerate(reader, start + 2):
        try:
            facts.append(_fact(row))
        except (ValueError, TypeError) as error:
            raise CatalogError(f"{name}, line {number}: {error}") from error
    return Series(
        source_id=head["source_id"][0],
        source=head["source"][0],
        checked=head["checked"][0],
        traps=tuple(head["trap"]),
        facts=tuple(facts),
    )


def _fact(row: dict[str, str]) -> Fact:
    known: dict[str, Weights] = {name: name for name in get_args(Weights)}
    week, weights = dt.date.fromisoformat(row["week"]), row["weights"]
    if week.isoweekday() != 1:
        raise ValueError(f"{week} is not a Monday")
    if weights not in known:
        raise ValueError(f"weights is {weights!r}, not one of {', '.join(known)}")
    if row["is_free"] not in ("0", "1") or int(row["tokens"]) < 0:
        raise ValueError("is_free is 0 or 1, tokens a count")
    free = row["is_free"] == "1"
    return Fact(week=week, author=row["author"], weights=known[weights], is_free=free, tokens=int(row["tokens"]))


HEADER = """\
# source_id: openrouter-author-weekly
# source: Source: OpenRouter (openrouter.ai/rankings); public daily figures, aggregated by the Tidegate authors
# checked: {checked}
# unit: tokens, prompt plus completion, each provider's own tokenizer; weeks begin on Monday, UTC; complete weeks only
# is_free: 1 for the variant :free. weights: open where they can be downloaded, whatever the licence; from our catalog.
# trap: One platform's public traffic: no private models, private endpoints or zero-data-retention traffic.
# trap: Models that ran under a code name stand under the author openrouter, as the source listed them then.
"""


def build(files: Sequence[Path], checked: str) -> str:
    """The text of the series from files of the import `openrouter-daily`: complete weeks, header included."""
    from tidegate.catalog import load_catalog
    from tidegate.ledger.imports import run_import
    from tidegate.ledger.store import Ledger
    from tidegate.study.facts import open_facts
    from tidegate.study.params import Params

    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.create(Path(folder) / "ledger")
        report = run_import("openrouter-daily", files, ledger)
        facts = open_facts(ledger, load_catalog())
        source = facts.sources[0]
        coverage = facts.coverage(source, Params())
        rows = facts.query(
            "SELECT CAST(date_trunc('week', day) AS DATE) AS week, author, weights, variant = 'free', sum(tokens) "
            "FROM facts WHERE week BETWEEN ? AND ? GROUP BY ALL HAVING sum(tokens) > 0 ORDER BY ALL",
            [coverage.kept[0], coverage.kept[-1]],
        )
    traps = [note for note in (*coverage.notes(), *report.notes) if not note.startswith("cite as")]
    out = io.StringIO()
    out.write(HEADER.format(checked=checked))
    out.writelines(f"# trap: {trap}\n" for trap in traps)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((week, author, weights, int(free), int(tokens)) for week, author, weights, free, tokens in rows)
    return out.getvalue()


def main(arguments: Sequence[str]) -> None:
    """`python -m tidegate.study.series FILE...`: print the series."""
    if not arguments or arguments[0].startswith("-"):
        sys.exit("usage: python -m tidegate.study.series FILE... > author_weekly.csv")
    sys.stdout.write(build([Path(name) for name in arguments], dt.datetime.now(dt.UTC).date().isoformat()))


if __name__ == "__main__":
    main(sys.argv[1:])
