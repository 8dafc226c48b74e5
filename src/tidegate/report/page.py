"""The static report: one HTML file that opens from disk, with everything it needs inside and no address outside."""

import datetime as dt
import importlib.resources
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tidegate import __version__
from tidegate.report import comparison
from tidegate.report.charts import export, vega_lite
from tidegate.report.own_calls import OwnCalls, own_calls
from tidegate.report.spec import Spec
from tidegate.report.theme import config
from tidegate.report.unseen import Unseen, unseen
from tidegate.study.compare import compare
from tidegate.study.facts import Facts, Source
from tidegate.study.figures import FIGURES, run_figures
from tidegate.study.params import Params
from tidegate.study.pivot import Pivot, pivot
from tidegate.study.published import read_published
from tidegate.study.quantity import percent
from tidegate.study.result import Result
from tidegate.study.series import read_shipped

KIND_WORDS = {
    "calls": "single calls",
    "daily": "imported daily series",
    "weekly": "imported weekly series",
    "monthly": "imported monthly series",
    "window": "imported list of a span not stated",
}
SHIPPED = "public series, shipped"


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """One figure on the page. `answer`: its first sentence, where the figure answers a question in words."""

    name: str
    anchor: str
    question: str
    result: Result
    chart: Spec
    table: Pivot
    answer: tuple[str, ...]
    caveats: tuple[str, ...]
    missing: str


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One source: its figures, and those it cannot carry, with the reason. Sources are never added to each other."""

    source: Source
    kind: str
    citation: str
    figures: tuple[Drawn, ...]
    refused: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that the page says. `ledger`: how the ledger is named on it; empty where there is none yet."""

    ledger: str
    created: str
    own: OwnCalls | None
    sections: tuple[Section, ...]
    compared: comparison.Compared | None
    unseen: Unseen


def compose(facts: Facts, ledger: str, params: Params | None = None) -> Report:
    """Draw every figure from every source; own calls first, then imports, then the public series."""
    rank = {"calls": 0, "daily": 1, "weekly": 2, "monthly": 3, "window": 4}
    ordered = sorted(facts.sources, key=lambda source: (source.source_id != "own", rank[source.kind], source.source_id))
    now = dt.datetime.now(dt.UTC)
    return Report(
        ledger=ledger,
        created=now.strftime("%Y-%m-%d %H:%M UTC"),
        own=own_calls(facts) if any(source.source_id == "own" for source in ordered) else None,
        sections=tuple(_section(facts, source, params or Params()) for source in ordered),
        compared=comparison.section(compare(facts, ordered, read_published())) if ordered else None,
        unseen=unseen(now.date()),
    )


def _section(facts: Facts, source: Source, params: Params) -> Section:
    outcome = run_figures(facts, (), params, source_id=source.source_id)
    series = read_shipped()
    shipped = source.source_id == series.source_id
    caveats = series.traps if shipped else ()
    return Section(
        source=source,
        kind=SHIPPED if shipped else KIND_WORDS[source.kind],
        citation=source.citation,
        figures=tuple(_drawn(result, caveats) for result in outcome.results),
        refused=outcome.refused,
    )


def _drawn(result: Result, caveats: Sequence[str]) -> Drawn:
    answer = tuple(_answer(result.notes))
    return Drawn(
        name=result.figure,
        anchor=result.file_stem,
        question=FIGURES[result.figure].question,
        result=result,
        chart=vega_lite(result),
        table=pivot(result),
        answer=answer,
        caveats=(*(note for note in result.notes if note not in answer), *caveats),
        missing=percent(result.missing_share),
    )


def _answer(notes: Sequence[str]) -> Iterable[str]:
    """The leading notes that answer the question: a sentence, then its cases, each begun with a dash."""
    cases = [note for note in notes if note.startswith("- ")]
    if cases:
        yield notes[0]
        yield from cases


def render(report: Report) -> str:
    """The page as HTML. The charting code is in it once, whatever the number of charts."""
    import jinja2
    import vl_convert

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((importlib.resources.files("tidegate.report") / "page.html").read_text("utf-8"))
    charts = {figure.anchor: figure.chart for section in report.sections for figure in section.figures}
    if report.compared and report.compared.chart:
        charts[comparison.ANCHOR] = report.compared.chart
    charts |= {card.anchor: card.chart for card in report.unseen.cards}
    return template.render(
        report=report,
        version=__version__,
        style=(importlib.resources.files("tidegate.report") / "page.css").read_text("utf-8"),
        bundle=_code(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")),
        charts=_json(charts),
        themes=_json({ground: config(ground) for ground in ("light", "dark")}),
    )


def _json(value: object) -> str:
    """JSON that may stand inside a script element: no name in the data can end the element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _code(script: str) -> str:
    """Code that may stand inside a script element."""
    return re.sub("</(script)", r"<\\/\1", script, flags=re.IGNORECASE).replace("<!--", "<\\!--")


def write(report: Report, folder: Path, forms: Sequence[str] = ()) -> list[Path]:
    """Write `index.html`, and each chart in these forms (`png`, `svg`). Returns what was written, the page first."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(render(report), "utf-8")
    written = [page]
    for section in report.sections:
        for figure in section.figures:
            for form in forms:
                file = folder / f"{figure.anchor}.{form}"
                file.write_bytes(export(figure.result, form))
                written.append(file)
    return written
