"""The table of all figures for the reference: name, number in the report, what it reads, how it is drawn."""

import inspect

from tidegate.report.charts import CHARTS
from tidegate.study.figures import FIGURES, Figure


def render() -> str:
    """One line a figure, in the order of the report, then what only readers asked for."""
    lines = ["| figure | question | in *State of AI* | reads | chart |", "| --- | --- | --- | --- | --- |"]
    lines += [line_of(figure) for figure in FIGURES.values()]
    return "\n".join(lines)


def line_of(figure: Figure) -> str:
    """Names link to the files that hold the figure and its chart."""
    name = f"[`{figure.name}`](../../src/tidegate/study/{figure.name}.py)"
    reads = ", ".join(f"[`{rollup}`](rollups.md#{rollup})" for rollup in figure.rollups)
    chart = (inspect.getdoc(CHARTS[figure.name]) or "").split("\n")[0].rstrip(".")
    drawn = f"[{chart[:1].lower()}{chart[1:]}](../../src/tidegate/report/{figure.name}.py)"
    return f"| {name} | {figure.question} | {figure.published or 'not in it'} | {reads} | {drawn} |"
