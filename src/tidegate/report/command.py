"""A report from start to end: which ledger, which sources, where the page goes."""

from collections.abc import Sequence
from pathlib import Path

from tidegate.catalog import load_catalog
from tidegate.config import load_config
from tidegate.ledger.store import Ledger
from tidegate.report.page import compose, write
from tidegate.study.authors import read_author_country
from tidegate.study.facts import open_facts
from tidegate.study.params import Params
from tidegate.study.periods import parse_window


def write_report(
    ledger_path: Path | None,
    out: Path,
    *,
    window: str | None = None,
    public: bool | None = None,
    author_country: Path | None = None,
    forms: Sequence[str] = (),
) -> list[Path]:
    """Write the page and return the files written, the page first.

    ledger_path: None is the installation's own, which need not exist yet. public: whether the shipped series is shown;
    None: unless the ledger has an imported daily series, which says more.
    Raises TidegateError with the mend.
    """
    config = load_config()
    own = config.ledger_path
    ledger = Ledger.open(ledger_path) if ledger_path else Ledger.open(own) if own.exists() else None
    catalog = load_catalog([config.home_path / "catalog"])
    overrides = read_author_country(author_country) if author_country else {}
    facts = open_facts(ledger, catalog, overrides=overrides, shipped=public is not False)
    if public is None and any(source.kind == "daily" for source in facts.sources):
        facts.sources = tuple(source for source in facts.sources if source.kind != "weekly")
    report = compose(facts, ledger.path.name if ledger else "", Params(window=parse_window(window)))
    return write(report, out, forms)
