"""Reasoning, three ways: tokens through reasoning models, reasoning tokens themselves, and calls (Figure 10)."""

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.params import UNITS, Measure, Params
from tidegate.study.periods import period_sql
from tidegate.study.relations import view_of
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.shares import Ask, Drawn, Missing, Table, finish, tabulate

NAME = "reasoning_share"
QUESTION = "How much of the use is reasoning?"
WAYS: dict[str, Measure] = {
    "tokens through reasoning models": "tokens",
    "calls to reasoning models": "calls",
    "spend on reasoning models": "spend",
}
REASONING_TOKENS = "reasoning tokens themselves"
_GROUP = "CASE WHEN is_reasoning THEN 'yes' WHEN is_reasoning IS NULL THEN 'unknown' ELSE 'no' END"


def reasoning_share(facts: Facts, source: Source, params: Params) -> Result:
    """Share of each period that is reasoning, by every way of counting that the source allows."""
    tables: dict[str, Table] = {}
    for way, measure in WAYS.items():
        if measure in source.measures:
            asked = msgspec.structs.replace(params, measure=measure)
            tables[way] = tabulate(NAME, facts, source, asked, Ask(group=_GROUP, of="models"))
    if not tables:
        raise NotComputable(NAME, source.source_id, "it has neither tokens, calls nor costs")
    thought = _reasoning_tokens(facts, source, params)
    table = next(iter(tables.values()))
    rows: list[Cell] = []
    for period in table.coverage.kept:
        for way, counted in tables.items():
            groups = counted.sums[period]
            rows.append(_cell(period.isoformat(), way, groups.get("yes", 0), sum(groups.values())))
        if period in thought:
            rows.append(_cell(period.isoformat(), REASONING_TOKENS, *thought[period][:2]))
    odd = sum(found[2] for period, found in thought.items() if period in table.sums)
    notes = [f"{odd} records report more reasoning than output tokens; they are counted as reported."] if odd else []
    if params.top or params.without_accounts:
        notes.append("Reasoning tokens themselves are not told by account or for the largest models only.")
    elif not thought:
        notes.append("The source has no reasoning token counts (usage_reasoning_output_tokens).")
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                "Share of reasoning in each period, counted three ways: tokens (input and output) served by models "
                "that can reason, a property of the model; reasoning tokens themselves over all tokens, a property of "
                "the answer, where the source counts them; and calls (and spend) that went to such models. The first "
                "is what State of AI plots; the second is far smaller."
            ),
            rows=tuple(rows),
            missing=Missing(table.share("unknown"), "a model of which nobody knows whether it reasons: counted as no"),
            notes=notes,
            unit=UNITS["tokens"] if len(tables) == 1 else "tokens, calls or nano-USD",
        ),
    )


def _cell(period: str, way: str, part: int, whole: int) -> Cell:
    return Cell(period=period, groups={"way": way}, value=part, share=part / whole if whole else None)


def _reasoning_tokens(facts: Facts, source: Source, params: Params) -> dict[object, tuple[int, int, int]]:
    """By period: reasoning tokens, all tokens of the records that report them, and records with more than output."""
    relation = view_of(NAME, facts, source, "models")
    period = period_sql("day", params.grain, params.anchor)
    switches = ["source_id = ?"]
    if not params.include_free:
        switches.append("variant <> 'free'")
    if not params.include_cloaked:
        switches.append("origin <> 'cloaked'")
    if not params.include_byok:
        switches.append("is_byok IS NOT TRUE")
    if params.top or params.without_accounts:
        return {}
    for side, day in ((">=", params.window.first), ("<=", params.window.last)):
        if day:
            switches.append(f"day {side} DATE '{day}'")
    rows = facts.query(
        f"SELECT {period}, sum(reasoning), sum(tokens), count(*) FILTER (reasoning > output) FROM {relation} "
        f"WHERE {' AND '.join(switches)} AND reasoning IS NOT NULL GROUP BY ALL",
        [source.source_id],
    )
    return {when: (int(part), int(whole or 0), odd) for when, part, whole, odd in rows}
