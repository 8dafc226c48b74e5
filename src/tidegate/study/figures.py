"""The figures that exist, and running them: on every source that carries them, never on a mixture."""

import difflib
from collections.abc import Callable, Sequence

import msgspec

from tidegate.study import author_totals, country_lead, oss_split, prompt_length
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result, StudyError

Draw = Callable[[Facts, Source, Params], Result]


class Figure(msgspec.Struct, frozen=True):
    """One figure: its name, the question it answers, and the function that draws it from one source."""

    name: str
    question: str
    draw: Draw


FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure(country_lead.NAME, country_lead.QUESTION, country_lead.country_lead),
        Figure(oss_split.NAME, oss_split.QUESTION, oss_split.oss_split),
        Figure(author_totals.NAME, author_totals.QUESTION, author_totals.author_totals),
        Figure(prompt_length.NAME, prompt_length.QUESTION, prompt_length.prompt_length),
    )
}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Results, in the order asked for, and what could not be computed from which source, one sentence each."""

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
                refused.append(error)
    if names and not results:
        raise refused[0] if len(refused) == 1 else StudyError("; ".join(map(str, refused)))
    return Outcome(results=tuple(results), refused=tuple(map(str, refused)))


def _no_source(facts: Facts, source_id: str | None) -> str:
    names = ", ".join(source.source_id for source in facts.sources)
    if source_id is not None and names:
        return f"the ledger has no source {source_id!r}; it has {names}"
    return (
        "the ledger has no sealed rows and no imported series yet. Make a call and run `tidegate ledger seal`, or "
        "`tidegate ledger import openrouter-daily FILE`; `tidegate report` shows the public series meanwhile."
    )
