"""A gateway's own tokens by country, as the truth of a back-test: what its customers used, not the world."""

from typing import TYPE_CHECKING, Literal

from tidegate.index.table import IndexRefusal

if TYPE_CHECKING:
    from tidegate.catalog import Catalog
    from tidegate.ledger.store import Ledger

Where = Literal["ip_country", "billing_country"]


def tokens_by_country(ledger: "Ledger", catalog: "Catalog", where: Where = "ip_country") -> dict[str, float]:
    """Tokens by ISO 3166-1 alpha-3 country: where callers' addresses are registered, or where accounts are billed.

    Calls without a country, or of one that the catalog does not know, are left out. Raises IndexRefusal where that is
    all of them.
    """
    import duckdb

    from tidegate.ledger.rollup import attach

    with duckdb.connect() as connection:
        attach(ledger, connection, "daily_country")
        rows = connection.execute(
            f"SELECT {where}, SUM(total_tokens) FROM daily_country WHERE {where} IS NOT NULL GROUP BY 1 HAVING SUM("
            "total_tokens) > 0 ORDER BY 1"
        ).fetchall()
    known = catalog.countries
    found = {known[country].alpha3: float(tokens) for country, tokens in rows if country in known}
    if not found:
        raise IndexRefusal(
            f"no call of this ledger has both tokens and a country ({where}): it cannot be the truth here"
        )
    return found
