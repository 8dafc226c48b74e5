"""Which countries pay for the use (State of AI, Table 3)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.places import BILLING_NOTE, by_billing_country
from tidegate.study.result import Result
from tidegate.study.shares import REST, Drawn, finish, window_cells

NAME = "country_table"
QUESTION = "Which countries is the use paid from?"
COUNTRIES_MAX = 10


def country_table(facts: Facts, source: Source, params: Params) -> Result:
    """Shares over the whole window of the largest billing countries (ISO 3166-1 alpha-2), and all others together."""
    countries, missing = by_billing_country(NAME, facts, source, params)
    table, names = countries.top(COUNTRIES_MAX, rest=True)
    others = sum(1 for value in countries.totals().values() if value) - len([name for name in names if name != REST])
    notes = [BILLING_NOTE]
    if others > 0:
        notes.append(f"`{REST}` adds up {others} more countries.")
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"Share of {params.measure} over the whole window by billing country (ISO 3166-1), the {COUNTRIES_MAX} "
                "largest by name; of what has a billing country. Taiwan and Hong Kong stand by themselves here."
            ),
            rows=window_cells(table, "country", names),
            missing=missing,
            notes=notes,
            down=("country",),
        ),
    )
