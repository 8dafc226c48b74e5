"""Your calls: what this installation's own gateway served, by model."""

import msgspec

from tidegate.core.money import format_usd
from tidegate.study.facts import Facts

OWN = "own"  # the source_id of rows from this installation's gateway


class ModelUse(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider. Tokens and costs of calls whose usage is unknown are in none of the sums."""

    model: str
    provider: str
    calls: int
    unmetered: int
    input_tokens: int
    output_tokens: int
    cost_usd: str


class OwnCalls(msgspec.Struct, frozen=True, kw_only=True):
    """The section's table and its totals; `first` and `last` are UTC days."""

    first: str
    last: str
    models: tuple[ModelUse, ...]
    calls: int
    unmetered: int
    tokens: int
    cost_usd: str


def own_calls(facts: Facts) -> OwnCalls | None:
    """The own rows by model and provider, most calls first; None where the gateway has served nothing yet."""
    rows = facts.query(
        "SELECT coalesce(response_model, '(refused before a model)'), coalesce(provider_name, ''), sum(calls), "
        "sum(unmetered_calls), coalesce(sum(usage_input_tokens), 0), coalesce(sum(usage_output_tokens), 0), "
        "coalesce(sum(cost_nano_usd), 0), min(day), max(day) FROM daily_usage WHERE source_id = ? "
        "GROUP BY ALL ORDER BY sum(calls) DESC, 1, 2",
        [OWN],
    )
    if not rows:
        return None
    models = tuple(
        ModelUse(
            model=model,
            provider=provider,
            calls=int(calls),
            unmetered=int(unmetered),
            input_tokens=int(tokens_in),
            output_tokens=int(tokens_out),
            cost_usd=format_usd(int(cost)),
        )
        for model, provider, calls, unmetered, tokens_in, tokens_out, cost, _, _ in rows
    )
    return OwnCalls(
        first=min(row[7] for row in rows).isoformat(),
        last=max(row[8] for row in rows).isoformat(),
        models=models,
        calls=sum(use.calls for use in models),
        unmetered=sum(use.unmetered for use in models),
        tokens=sum(use.input_tokens + use.output_tokens for use in models),
        cost_usd=format_usd(sum(int(row[6]) for row in rows)),
    )
