"""Countries and continents of accounts, by ISO 3166-1 and UN M49."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import NotComputable
from tidegate.study.shares import Ask, Missing, Table, tabulate

NO_COUNTRY = "billing_country is null in all its calls"
BILLING_NOTE = (
    "Country of the account's billing address: accounts that pay through another country, and firms that pay in one "
    "place for many, stand where they pay; billing_and_ip compares it with the caller's address."
)


def by_billing_country(figure: str, facts: Facts, source: Source, params: Params) -> tuple[Table, Missing]:
    """The measure by billing country of those that have one, and the part that has none.

    Raises NotComputable where nobody has one.
    """
    ask = Ask(group="coalesce(billing_country, '')", relation="countries", of="any")
    whole = tabulate(figure, facts, source, params, ask)
    table = whole.regrouped(lambda country: country or None)
    if not any(table.sums.values()):
        raise NotComputable(figure, source.source_id, NO_COUNTRY)
    return table, Missing(whole.share(""), "no billing country")


def continent_of(facts: Facts, country: str) -> str:
    """The continent of an ISO 3166-1 alpha-2 code; `unknown` for a code that nobody has assigned."""
    known = facts.makers.catalog.countries.get(country)
    return known.continent if known else "unknown"


def country_name(facts: Facts, country: str) -> str:
    """The name of an ISO 3166-1 alpha-2 code; the code itself where nobody has assigned it."""
    known = facts.makers.catalog.countries.get(country)
    return known.name if known else country
