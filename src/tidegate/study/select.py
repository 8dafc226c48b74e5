"""What a figure sums: which relation, grouped how, which rows; turned into SQL with the switches of the study."""

from typing import Any, Literal

import msgspec

from tidegate.study.authors import REST_OF_LIST
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Measure, Params
from tidegate.study.periods import period_sql
from tidegate.study.relations import RELATIONS, Name, view_of
from tidegate.study.result import NotComputable

MODELS: Name = "models"
_MISSING: dict[Measure, str] = {
    "tokens": "it has no token counts (total_tokens)",
    "calls": "it has no call counts (calls)",
    "spend": "it has no costs (cost_nano_usd)",
}
Anonymous = Literal["models", "authors", "any"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is summed.

    group: SQL text over the relation's columns (`relations.py`). where: which rows count. of: what the source must
    name: models, at least authors, or neither.
    """

    group: str
    relation: Name = MODELS
    where: str = "true"
    of: Anonymous = "authors"


def select(figure: str, facts: Facts, source: Source, params: Params, ask: Ask) -> tuple[str, list[Any]]:
    """SQL of (period, grouped, model, variant, value, unmetered) with switches, view and `where`; and its values.

    Raises NotComputable naming the column that the source lacks.
    """
    name = _relation(figure, source, params, ask)
    if params.measure not in source.measures:
        raise NotComputable(figure, source.source_id, _MISSING[params.measure])
    if ask.of != "any" and not source.names_authors:
        raise NotComputable(figure, source.source_id, "it does not say which model was called (response_model)")
    if not source.names_models and (params.top or ask.of == "models"):
        why = "so none can be ranked" if params.top else "so none can be told apart"
        raise NotComputable(figure, source.source_id, f"it names authors, not models (response_model), {why}")
    relation = view_of(figure, facts, source, name)
    where, values = _switched(source, params, relation)
    period = period_sql(RELATIONS[name].day, params.grain, params.anchor)
    unmetered = "sum(unmetered)" if name == "models" else "NULL"
    chosen = (
        f"SELECT {period} AS period, {ask.group} AS grouped, model, variant, "
        f"CAST(sum({params.measure}) AS HUGEINT) AS value, {unmetered} AS unmetered "
        f"FROM {relation} WHERE {where} AND ({ask.where}) GROUP BY ALL"
    )
    if not params.top:
        return chosen, values
    rest = ", ".join(f"'{other}'" for other in sorted(REST_OF_LIST))
    listed = "SELECT period, model, variant FROM foremost"
    return (
        f"WITH ranked AS (SELECT {period} AS period, model, variant, sum({params.measure}) AS amount FROM {relation} "
        f"WHERE {where} AND (model IS NULL OR model NOT IN ({rest})) GROUP BY ALL), "
        "foremost AS (SELECT period, model, variant FROM ranked QUALIFY row_number() OVER (PARTITION BY period "
        f"ORDER BY amount DESC NULLS LAST, model NULLS LAST, variant) <= {params.top}) "
        f"SELECT chosen.* FROM ({chosen}) AS chosen WHERE EXISTS (FROM ({listed}) AS l WHERE l.period = chosen.period "
        "AND l.model IS NOT DISTINCT FROM chosen.model AND l.variant = chosen.variant)",
        [*values, *values],
    )


def sample_sql(facts: Facts, source: Source, params: Params, ask: Ask) -> tuple[str, list[Any]]:
    """SQL of (period, value), the calls a figure rests on: where they are a weighted sample, the calls sampled."""
    name = _relation("sample", source, params, ask)
    if name not in ("tags", "languages"):
        return select("sample", facts, source, msgspec.structs.replace(params, measure="calls"), ask)
    relation = view_of("sample", facts, source, name)
    where, values = _switched(source, params, relation)
    period = period_sql(RELATIONS[name].day, params.grain, params.anchor)
    return (
        f"SELECT {period} AS period, sum(sampled_calls) AS value FROM {relation} WHERE {where} AND ({ask.where}) "
        "GROUP BY ALL",
        values,
    )


def _relation(figure: str, source: Source, params: Params, ask: Ask) -> Name:
    """The relation that can answer: by account, where accounts are to be left out."""
    name = ask.relation
    if params.without_accounts:
        if name not in ("models", "accounts"):
            lacking = f"the rollup {RELATIONS[name].rollup} has no tenant_id, so accounts cannot be left out"
            raise NotComputable(figure, source.source_id, lacking)
        name = "accounts"
    if RELATIONS[name].day == "week" and (params.grain != "week" or params.anchor != "monday"):
        raise NotComputable(
            figure, source.source_id, f"the rollup {RELATIONS[name].rollup} is kept by Monday week (no column day)"
        )
    if not params.include_byok and not RELATIONS[name].has_byok:
        raise NotComputable(
            figure, source.source_id, f"the rollup {RELATIONS[name].rollup} has no is_byok, so BYOK cannot be left out"
        )
    return name


def _switched(source: Source, params: Params, relation: str) -> tuple[str, list[Any]]:
    """The condition that the switches make, and its values."""
    day = "week" if relation == "study_accounts" else "day"
    where, values = ["source_id = ?"], [source.source_id]
    for side, bound in ((">=", params.window.first), ("<=", params.window.last)):
        if bound:
            where.append(f"{day} {side} ?")
            values.append(bound)  # type: ignore[arg-type]  # a date beside the text
    if not params.include_free:
        where.append("variant <> 'free'")
    if not params.include_cloaked:
        where.append("origin <> 'cloaked'")
    if not params.include_byok:
        where.append("is_byok IS NOT TRUE")
    if params.without_accounts:
        where.append("(account IS NULL OR account NOT IN (SELECT unnest(?)))")
        values.append(list(params.without_accounts))  # type: ignore[arg-type]
    return " AND ".join(where), values
