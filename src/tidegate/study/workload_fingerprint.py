"""What a model is used like: how long its calls are, and how much goes in for what comes out."""

from tidegate.study.facts import Facts, Source
from tidegate.study.model_names import NOBODY
from tidegate.study.params import Params
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.select import Ask, select
from tidegate.study.shares import Drawn, Missing, finish, tabulate

NAME = "workload_fingerprint"
QUESTION = "What is each model used like?"
MODELS_MAX = 30
PARTS = ("input", "output", "reasoning", "cached", "tool_calls", "metered")


def workload_fingerprint(facts: Facts, source: Source, params: Params) -> Result:
    """Ratios of each of the largest models over the window: input to output, tokens a call, reasoning, cache."""
    if params.without_accounts:
        raise NotComputable(NAME, source.source_id, "weekly_account has no reasoning and no cached tokens")
    table = tabulate(NAME, facts, source, params, Ask(group="coalesce(model, '')", of="models"))
    selected, values = select(NAME, facts, source, params, _ASK)
    kept = ", ".join(f"DATE '{period}'" for period in table.coverage.kept) or "NULL"
    rows = facts.query(
        f"SELECT model, sum(value), {', '.join(f'sum(grouped.{part})' for part in PARTS)} FROM ({selected}) "
        f"WHERE period IN ({kept}) AND model IS NOT NULL GROUP BY ALL",
        values,
    )
    sums = _by_slug(facts, rows)
    ranked = sorted(sums, key=lambda model: (-(sums[model]["value"] or 0), model))[:MODELS_MAX]
    if not any(sums[model]["input"] and sums[model]["output"] for model in ranked):
        raise NotComputable(NAME, source.source_id, "it does not tell input from output tokens (usage_input_tokens)")
    period = table.coverage.kept[0].isoformat() if table.coverage.kept else ""
    whole = table.total()
    cells: list[Cell] = []
    for model in ranked:
        for statistic, value in _statistics(sums[model]).items():
            cells.append(Cell(period=period, groups={"model": model, "statistic": statistic}, value=value))
        amount = sums[model]["value"] or 0
        groups = {"model": model, "statistic": params.measure}
        cells.append(Cell(period=period, groups=groups, value=amount, share=amount / whole if whole else None))
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"For each of the {MODELS_MAX} models with most {params.measure} over the window: input tokens for "
                "one output token; tokens a call of known usage; the parts of reasoning in output, and of cached in "
                "input; tool calls a call. A blank is what the source does not count. Long calls with far more input "
                "than output look like agents, short balanced ones like talk: a pattern, not a label."
            ),
            rows=tuple(cells),
            missing=Missing(sum(table.share(name) for name in NOBODY), "no model's name"),
            unit="ratios and sums",
            down=("model",),
        ),
    )


_ASK = Ask(
    group="{'input': sum(input), 'output': sum(output), 'reasoning': sum(reasoning), 'cached': sum(cached), "
    "'tool_calls': sum(tool_calls), 'metered': sum(calls) - coalesce(sum(unmetered), 0)}",
    of="models",
)
Sums = dict[str, int | None]


def _by_slug(facts: Facts, rows: list[tuple[object, ...]]) -> dict[str, Sums]:
    """Sums by catalog slug; None stays where no row has the part."""
    found: dict[str, Sums] = {}
    for name, *parts in rows:
        if not isinstance(name, str) or name.lower() in NOBODY:
            continue
        held = found.setdefault(facts.makers.catalog.resolve(name).model, dict.fromkeys(("value", *PARTS)))
        for part, amount in zip(("value", *PARTS), parts, strict=True):
            if amount is not None:
                held[part] = (held[part] or 0) + int(str(amount))
    return found


def _statistics(sums: Sums) -> dict[str, float | None]:
    def ratio(part: str, of: str) -> float | None:
        top, bottom = sums[part], sums[of]
        return round(top / bottom, 4) if top is not None and bottom else None

    both = None if sums["input"] is None or sums["output"] is None else sums["input"] + sums["output"]
    metered = sums["metered"]
    return {
        "input per output": ratio("input", "output"),
        "tokens a call": round(both / metered, 2) if both is not None and metered else None,
        "reasoning of output": ratio("reasoning", "output"),
        "cached of input": ratio("cached", "input"),
        "tool calls a call": ratio("tool_calls", "metered"),
    }
