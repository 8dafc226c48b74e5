"""The figures that exist, and running them: on every source that carries them, never on a mixture."""

import difflib
from collections.abc import Callable, Sequence
from types import ModuleType

import msgspec

from tidegate.study import (
    acceptance,
    app_models,
    app_share,
    author_categories,
    author_totals,
    billing_and_ip,
    category_cost,
    category_share,
    category_tags,
    chinese_open_categories,
    cohort_tests,
    continent_table,
    cost_per_accepted,
    country_lead,
    country_table,
    free_or_paid,
    jevons,
    language_table,
    launch_study,
    market_map,
    measure_shares,
    model_cost,
    model_value,
    models_by_size,
    multihoming,
    open_by_size,
    open_categories,
    oss_split,
    outlier_accounts,
    price_cuts,
    price_elasticity,
    programming_authors,
    programming_by_source,
    programming_length,
    prompt_length,
    prompt_length_by_category,
    reasoning_share,
    region_spend,
    retention,
    roleplay_by_source,
    segments,
    survival,
    tokens_per_call,
    tool_call_share,
    top_open_models,
    top_reasoning_models,
    top_tool_models,
    user_flow,
    volume_by_type,
    workload_fingerprint,
)
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result, StudyError

Draw = Callable[[Facts, Source, Params], Result]


class Figure(msgspec.Struct, frozen=True):
    """One figure: its name, the question it answers, and the function that draws it from one source.

    published: its number in "State of AI"; empty for what only readers asked for. rollups: what it reads.
    """

    name: str
    question: str
    draw: Draw
    published: str = ""
    rollups: tuple[str, ...] = ()


def _figure(module: ModuleType, published: str, *rollups: str) -> Figure:
    """The figure of a module: its function has the figure's name."""
    return Figure(module.NAME, module.QUESTION, getattr(module, module.NAME), published, rollups)


FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        _figure(country_lead, "", "daily_usage"),
        _figure(oss_split, "Fig 1", "daily_usage"),
        _figure(volume_by_type, "Fig 2", "daily_usage"),
        _figure(author_totals, "Tab 1", "daily_usage"),
        _figure(top_open_models, "Fig 3", "daily_usage"),
        _figure(open_by_size, "Fig 4", "daily_usage"),
        _figure(models_by_size, "Fig 5", "daily_usage"),
        _figure(open_categories, "Fig 6", "daily_tags"),
        _figure(chinese_open_categories, "Fig 7", "daily_tags"),
        _figure(programming_by_source, "Fig 8", "daily_tags"),
        _figure(roleplay_by_source, "Fig 9", "daily_tags"),
        _figure(reasoning_share, "Fig 10", "daily_usage"),
        _figure(top_reasoning_models, "Fig 11", "daily_usage"),
        _figure(tool_call_share, "Fig 12", "daily_usage", "weekly_account"),
        _figure(top_tool_models, "Fig 13", "daily_usage"),
        _figure(prompt_length, "Figs 14, 15, 17", "length_histogram"),
        _figure(tokens_per_call, "Figs 14, 15, 17", "daily_usage"),
        _figure(prompt_length_by_category, "Fig 16", "length_histogram"),
        _figure(programming_length, "Fig 18", "length_histogram"),
        _figure(category_share, "Fig 19", "daily_tags"),
        _figure(programming_authors, "Fig 20", "daily_tags"),
        _figure(category_tags, "Figs 21, 22", "daily_tags"),
        _figure(author_categories, "Figs 23-28", "daily_tags"),
        _figure(region_spend, "Fig 29", "daily_country"),
        _figure(continent_table, "Tab 2", "daily_country"),
        _figure(country_table, "Tab 3", "daily_country"),
        _figure(language_table, "Tab 4", "daily_language"),
        _figure(retention, "Fig 30", "active_months"),
        _figure(user_flow, "", "active_months"),
        _figure(survival, "", "active_months"),
        _figure(cohort_tests, "Fig 30", "active_months"),
        _figure(category_cost, "Fig 31", "daily_tags"),
        _figure(model_cost, "Fig 32", "daily_usage"),
        _figure(market_map, "Fig 33", "daily_usage"),
        _figure(segments, "Tab 5", "daily_usage"),
        _figure(price_elasticity, "", "daily_usage"),
        _figure(price_cuts, "", "daily_usage"),
        _figure(jevons, "", "daily_usage"),
        _figure(acceptance, "", "daily_usage"),
        _figure(cost_per_accepted, "", "daily_usage"),
        _figure(measure_shares, "", "daily_usage"),
        _figure(model_value, "", "daily_usage"),
        _figure(free_or_paid, "", "daily_usage"),
        _figure(app_share, "", "daily_app"),
        _figure(app_models, "", "daily_app"),
        _figure(billing_and_ip, "", "daily_country"),
        _figure(launch_study, "", "daily_usage"),
        _figure(multihoming, "", "weekly_account", "daily_app"),
        _figure(workload_fingerprint, "", "daily_usage"),
        _figure(outlier_accounts, "", "weekly_account"),
    )
}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Results, in the order asked for, and what could not be computed from which source, one sentence each.

    Where no figure was named, figures that a source lacks for the same reason share a sentence.
    """

    results: tuple[Result, ...]
    refused: tuple[str, ...]


def run_figures(facts: Facts, names: Sequence[str], params: Params, *, source_id: str | None = None) -> Outcome:
    """Draw the named figures (all, if none is named) from one source, or from each source that carries them.

    Raises StudyError for a figure or source that does not exist, and NotComputable where a figure was asked for by
    name and nothing could be drawn at all.
    """
    for name in names:
        if name not in FIGURES:
            near = difflib.get_close_matches(name, FIGURES, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise StudyError(f"there is no figure {name!r}.{hint} There are {', '.join(FIGURES)}.")
    sources = list(facts.sources)
    if source_id is not None:
        sources = [source for source in sources if source.source_id == source_id]
    if not sources:
        raise StudyError(_no_source(facts, source_id))
    results: list[Result] = []
    refused: list[NotComputable] = []
    for name in names or FIGURES:
        for source in sources:
            try:
                results.append(FIGURES[name].draw(facts, source, params))
            except NotComputable as error:
                refused.append(NotComputable(name, error.source_id, error.missing))  # shared steps do not know it
    if names and not results:
        raise refused[0] if len(refused) == 1 else StudyError("; ".join(map(str, refused)))
    return Outcome(results=tuple(results), refused=tuple(map(str, refused)) if names else tuple(_together(refused)))


def _together(refused: Sequence[NotComputable]) -> list[str]:
    """One sentence for each source and reason: a ledger of several series lacks most figures several times."""
    found: dict[tuple[str, str], list[str]] = {}
    for error in refused:
        found.setdefault((error.source_id, error.missing), []).append(error.figure)
    return [
        f"{', '.join(figures)} {'is' if len(figures) == 1 else 'are'} not computable from source {source!r}: {missing}"
        for (source, missing), figures in sorted(found.items())
    ]


def _no_source(facts: Facts, source_id: str | None) -> str:
    names = ", ".join(source.source_id for source in facts.sources)
    if source_id is not None and names:
        return f"the ledger has no source {source_id!r}; it has {names}"
    return (
        "the ledger has no sealed rows and no imported series yet. Make a call and run `tidegate ledger seal`, or "
        "`tidegate ledger import openrouter-daily FILE`; `tidegate report` shows the public series meanwhile."
    )
