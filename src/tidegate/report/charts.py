"""Which chart draws which figure: one definition, used by the page, by PNG and SVG, and by the console."""

from collections.abc import Callable

from tidegate.report import (
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
from tidegate.report.points import Drawing
from tidegate.report.spec import Spec, filling, picture, standing
from tidegate.study.figures import FIGURES
from tidegate.study.result import Result

CHARTS: dict[str, Callable[[Result], Drawing]] = {
    module.__name__.rpartition(".")[2]: module.chart
    for module in (
        country_lead,
        oss_split,
        volume_by_type,
        author_totals,
        top_open_models,
        open_by_size,
        models_by_size,
        open_categories,
        chinese_open_categories,
        programming_by_source,
        roleplay_by_source,
        reasoning_share,
        top_reasoning_models,
        tool_call_share,
        top_tool_models,
        prompt_length,
        tokens_per_call,
        prompt_length_by_category,
        programming_length,
        category_share,
        programming_authors,
        category_tags,
        author_categories,
        region_spend,
        continent_table,
        country_table,
        language_table,
        retention,
        user_flow,
        survival,
        cohort_tests,
        category_cost,
        model_cost,
        market_map,
        segments,
        price_elasticity,
        price_cuts,
        jevons,
        acceptance,
        cost_per_accepted,
        measure_shares,
        model_value,
        free_or_paid,
        app_share,
        app_models,
        billing_and_ip,
        launch_study,
        multihoming,
        workload_fingerprint,
        outlier_accounts,
    )
}


def vega_lite(result: Result) -> Spec:
    """The Vega-Lite specification of a result's chart, as wide as what holds it, with a description for readers."""
    return filling(CHARTS[result.figure](result), _description(result))


def export(result: Result, form: str) -> bytes:
    """The same chart as `png` (2 x) or `svg`, titled, since it will stand alone."""
    subtitle = f"{result.window}, source {result.source_id}; n = {result.n:,}"
    title = FIGURES[result.figure].question
    return picture(standing(CHARTS[result.figure](result), title, subtitle, _description(result)), form)


def _description(result: Result) -> str:
    return f"{result.figure}, {result.window}, source {result.source_id}. {result.definition}"
