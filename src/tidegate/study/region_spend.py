"""Spend by world region over time (State of AI, Figure 29)."""

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.places import BILLING_NOTE, by_billing_country, continent_of
from tidegate.study.result import Result
from tidegate.study.shares import Drawn, cells, finish

NAME = "region_spend"
QUESTION = "Where does the money come from?"


def region_spend(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of spend by continent of the billing country, whatever measure is asked for elsewhere."""
    asked = msgspec.structs.replace(params, measure="spend")
    countries, missing = by_billing_country(NAME, facts, source, asked)
    table = countries.regrouped(lambda country: continent_of(facts, country))
    return finish(
        source,
        asked,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"Share of spend in each {params.grain} by continent of the billing country (ISO 3166-1, UN M49); of "
                "spend that has a billing country. continent_table has tokens: the two differ where prices do."
            ),
            rows=cells(table, "continent", [name for name, value in table.totals().items() if value]),
            missing=missing,
            notes=[BILLING_NOTE],
        ),
    )
