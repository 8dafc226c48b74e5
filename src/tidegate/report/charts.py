"""Which chart draws which figure: one definition, used by the page, by PNG and SVG, and by the console."""

from collections.abc import Callable
from typing import Any

from tidegate.report import author_totals, country_lead, oss_split, prompt_length
from tidegate.report.points import Drawing
from tidegate.report.theme import EXPORT_WIDTH_PX, config
from tidegate.study.figures import FIGURES
from tidegate.study.result import Result

CHARTS: dict[str, Callable[[Result], Drawing]] = {
    "country_lead": country_lead.chart,
    "oss_split": oss_split.chart,
    "author_totals": author_totals.chart,
    "prompt_length": prompt_length.chart,
}

Spec = dict[str, Any]  # a Vega-Lite specification: JSON that goes out as it is


def vega_lite(result: Result) -> Spec:
    """The Vega-Lite specification of a result's chart, as wide as what holds it, with a description for readers."""
    spec: Spec = CHARTS[result.figure](result).properties(width="container").to_dict()
    spec.pop("config", None)  # the theme is chosen where the chart is drawn
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    spec["description"] = f"{result.figure}, {result.window}, source {result.source_id}. {result.definition}"
    return spec


def export(result: Result, form: str) -> bytes:
    """The same chart as `png` (2 x) or `svg`, on white ground, titled, since it will stand alone."""
    import vl_convert

    spec = {**vega_lite(result), "width": EXPORT_WIDTH_PX, "config": {**config("light"), "background": "white"}}
    spec.pop("autosize")
    subtitle = f"{result.window}, source {result.source_id}; n = {result.n:,}"
    spec["title"] = {"text": FIGURES[result.figure].question, "subtitle": subtitle, "anchor": "start", "offset": 12}
    if form == "svg":
        return str(vl_convert.vegalite_to_svg(spec)).encode()
    return bytes(vl_convert.vegalite_to_png(spec, scale=2))
