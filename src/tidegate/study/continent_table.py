"""Which continents pay for the use (State of AI, Table 2)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.places import BILLING_NOTE, by_billing_country, continent_of
from tidegate.study.result import Result
from tidegate.study.shares import Drawn, finish, window_cells

NAME = "continent_table"
QUESTION = "Which continents is the use paid from?"


def continent_table(facts: Facts, source: Source, params: Params) -> Result:
    """Shares over the whole window by continent of the billing country."""
    countries, missing = by_billing_country(NAME, facts, source, params)
    table = countries.regrouped(lambda country: continent_of(facts, country))
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"Share of {params.measure} over the whole window by continent of the billing country (ISO 3166-1, UN "
                "M49; Central America and the Caribbean belong to North America); of what has a billing country."
            ),
            rows=window_cells(table, "continent", [name for name, value in table.totals().items() if value]),
            missing=missing,
            notes=[BILLING_NOTE],
            down=("continent",),
        ),
    )
