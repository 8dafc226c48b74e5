"""Mean tokens a call from sums: input, output, reasoning and both (State of AI, Figures 14, 15 and 17)."""

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.select import Ask, select
from tidegate.study.shares import Drawn, Missing, finish, tabulate

NAME = "tokens_per_call"
QUESTION = "How many tokens does a call take on average?"
LENGTHS = ("input", "output", "reasoning", "total")


def tokens_per_call(facts: Facts, source: Source, params: Params) -> Result:
    """Mean tokens a call by period: sums over calls of known usage, with every switch of the study."""
    if "calls" not in source.measures:
        raise NotComputable(NAME, source.source_id, "it has no call counts (calls)")
    if params.without_accounts:
        raise NotComputable(
            NAME, source.source_id, "by account it has no count of calls of known usage (unmetered_calls)"
        )
    asked = msgspec.structs.replace(params, measure="calls")
    table = tabulate(NAME, facts, source, asked, Ask(group="''", of="any"))
    selected, values = select(NAME, facts, source, asked, _ASK)
    rows = facts.query(
        f"SELECT period, {', '.join(f'sum(grouped.{name})' for name in LENGTHS)}, "
        f"sum(value) - coalesce(sum(unmetered), 0) FROM ({selected}) GROUP BY ALL",
        values,
    )
    found = {row[0]: row[1:] for row in rows}
    cells: list[Cell] = []
    for period in table.coverage.kept:
        *sums, calls = found.get(period, (None,) * 5)
        for name, amount in zip(LENGTHS, sums, strict=True):
            value = round(int(amount) / int(calls), 2) if amount is not None and calls else None
            cells.append(Cell(period=period.isoformat(), groups={"length_of": name}, value=value))
    known = table.total() - table.unmetered
    return finish(
        source,
        asked,
        msgspec.structs.replace(table, n=known, n_of="calls of known usage"),
        Drawn(
            figure=NAME,
            definition=(
                f"Tokens of each {params.grain} over its calls of known usage: a mean, which few long calls can lift; "
                "prompt_length has medians and 90th percentiles. Output includes reasoning, which also stands by "
                "itself where it is counted; input includes cached tokens."
            ),
            rows=tuple(cells),
            missing=Missing(table.unmetered / table.total() if table.total() else 0.0, "no usage"),
            unit="tokens a call",
            notes=["Lengths are in each provider's own tokenizer."],
        ),
    )


_ASK = Ask(
    group="{'input': sum(input), 'output': sum(output), 'reasoning': sum(reasoning), 'total': sum(tokens)}", of="any"
)
