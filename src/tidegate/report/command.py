"""A report from start to end: which ledger, which sources, where the page goes."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tidegate.catalog import Catalog
from tidegate.ledger.store import Ledger
from tidegate.report.page import compose, write
from tidegate.study.authors import read_author_country
from tidegate.study.facts import open_facts
from tidegate.study.params import Params
from tidegate.study.periods import parse_window
from tidegate.study.series import read_shipped


class ReportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a report shows. `public`: the shipped series; None: unless the ledger has a daily one, which says more."""

    window: str | None = None
    public: bool | None = None
    author_country: Path | None = None
    prices: Path | None = None  # dated list prices
    forms: Sequence[str] = ()  # "png", "svg": also each chart as such a file


def write_report(ledger: Ledger | None, catalog: Catalog, out: Path, options: ReportOptions) -> list[Path]:
    """Write the page and return the files written, the page first.

    ledger: None where there is none yet. Raises TidegateError with the mend.
    """
    overrides = read_author_country(options.author_country, catalog) if options.author_country else {}
    facts = open_facts(
        ledger, catalog, overrides=overrides, shipped=options.public is not False, prices_file=options.prices
    )
    if options.public is None and any(source.kind == "daily" for source in facts.sources):
        shipped = read_shipped().source_id
        facts.sources = tuple(source for source in facts.sources if source.source_id != shipped)
    report = compose(facts, ledger.path.name if ledger else "", Params(window=parse_window(options.window)))
    return write(report, out, options.forms)
