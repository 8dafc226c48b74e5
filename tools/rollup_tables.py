"""The reference page of the rollups, from the headers of `src/tidegate/ledger/rollups/*.sql`."""

from tidegate.ledger.rollup import Rollup, load_rollup, rollup_names

INTRODUCTION = """\
# Rollups

The ledger is summarised by these tables; figures read them, never rows. Each is defined once, as a `.sql` file in
`src/tidegate/ledger/rollups/`, in SQL that translates to DuckDB, Spark and ClickHouse; its header is the contract that
code and this page read. Every measure is an integer, so merging is exact: the rollup of two ledgers is the merged
rollup of each, on any number of machines, in any order. A measure that no call has is null, never zero; null and n
make n.

A `week` is named by its Monday, all days are UTC. Money is in nano-USD (10^-9 USD). Tokens are each provider's own.
How they are kept up to date, and why they have these keys: [rollups](../explanation/rollups.md).
"""


def render() -> str:
    rollups = [load_rollup(name) for name in rollup_names()]
    lines = [INTRODUCTION, "| rollup | what it holds | reads late labels |", "| --- | --- | --- |"]
    for rollup in rollups:
        labels = "yes" if rollup.reads_labels else "no"
        lines.append(f"| [`{rollup.name}`](#{rollup.name}) | {rollup.text} | {labels} |")
    for rollup in rollups:
        lines += ["", f"## {rollup.name}", "", rollup.text, "", *columns_of(rollup), "", *notes_of(rollup)]
    return "\n".join(lines).rstrip() + "\n"


def columns_of(rollup: Rollup) -> list[str]:
    lines = ["| column | type | part |", "| --- | --- | --- |"]
    for column in rollup.columns:
        part = "key" if column in rollup.key else "merged by OR" if column in rollup.masks else "merged by sum"
        lines.append(f"| `{column}` | `{rollup.type_of(column)}` | {part} |")
    return lines


def notes_of(rollup: Rollup) -> list[str]:
    """The sentences of the header, a paragraph for each that begins with the name of a column or of a relation."""
    header = [line[3:].strip() for line in rollup.sql.splitlines() if line.startswith("-- ")]
    words = {"rollup", "text", "from", "key", "sum", "bit_or"}
    found: list[str] = []
    for line in header:
        word, colon, rest = line.partition(": ")
        if colon and word in words:
            continue
        if colon and word.isidentifier() and word.islower():
            found.append(f"- `{word}`: {rest}")
        elif found:
            found[-1] += f" {line}"
    return found
