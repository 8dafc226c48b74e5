"""In which languages people write (State of AI, Table 4)."""

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result
from tidegate.study.shares import REST, Ask, Drawn, Missing, finish, tabulate, window_cells

NAME = "language_table"
QUESTION = "In which languages do people write?"
LANGUAGES_MAX = 10


def language_table(facts: Facts, source: Source, params: Params) -> Result:
    """Shares over the whole window by language of the user's turns (BCP 47), the largest by name."""
    ask = Ask(group="coalesce(language, '')", relation="languages", of="any")
    whole = tabulate(NAME, facts, source, params, ask)
    spoken = whole.regrouped(lambda language: language or None)
    if not any(spoken.sums.values()):
        raise NotComputable(NAME, source.source_id, "language is null in all its calls: none was labelled")
    table, names = spoken.top(LANGUAGES_MAX, rest=True)
    labelled = Ask(group="''", relation="languages", where="language IS NOT NULL", of="any")
    sampled = tabulate(NAME, facts, source, params, labelled).n
    everything = tabulate(NAME, facts, source, params, Ask(group="''", of="any")).total()
    others = sum(1 for value in spoken.totals().values() if value) - len([name for name in names if name != REST])
    return finish(
        source,
        params,
        msgspec.structs.replace(table, n=sampled),
        Drawn(
            figure=NAME,
            definition=(
                f"Share of {params.measure} over the whole window by detected language of the user's turns, without "
                "system prompts; of calls with a language, each counted as often as its sampling weight says. `zxx` "
                "is no language: code and the like."
            ),
            rows=window_cells(table, "language", names),
            missing=Missing(
                max(0.0, 1 - spoken.total() / everything) if everything else 0.0,
                "no detected language (each sampled call counted as often as its weight says)",
            ),
            notes=[f"`{REST}` adds up {others} more languages."] if others > 0 else [],
            down=("language",),
        ),
    )
