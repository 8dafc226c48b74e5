"""A study from start to end: which ledger, whose catalog, what was asked for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from tidegate.catalog import Catalog
from tidegate.ledger.store import Ledger
from tidegate.study.authors import read_author_country
from tidegate.study.facts import open_facts
from tidegate.study.figures import Outcome, run_figures
from tidegate.study.params import LabelRule, Measure, Params, SizeBy, Taxonomy, UnitOf, parse_view
from tidegate.study.periods import Anchor, Grain, parse_window

Progress = Callable[[int, int], None]


class StudyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters, the analyst's own countries, and the one source that is wanted (None: each by itself)."""

    params: Params
    author_country: Path | None = None
    source_id: str | None = None
    prices: Path | None = None  # dated list prices that the analyst brings

    @classmethod
    def from_cli(cls, options: Mapping[str, object]) -> "StudyOptions":
        """From the options of `tidegate study`, by name. Raises StudyError for an unreadable window or view."""
        given = msgspec.convert(dict(options), _Given)
        params = Params(
            window=parse_window(given.window),
            grain=given.grain,
            anchor=given.week_anchor,
            measure=given.measure,
            top=parse_view(given.view),
            include_free=given.free,
            include_cloaked=given.cloaked,
            include_byok=given.byok,
            label_rule=given.label_rule,
            taxonomy=given.taxonomy,
            size_by=given.size_by,
            unit=given.unit,
            without_accounts=given.without_account,
        )
        return cls(params=params, author_country=given.author_country, source_id=given.source_id, prices=given.prices)


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    grain: Grain
    week_anchor: Anchor
    measure: Measure
    view: str
    free: bool
    cloaked: bool
    byok: bool
    label_rule: LabelRule
    taxonomy: Taxonomy
    size_by: SizeBy
    without_account: tuple[str, ...]
    window: str | None = None
    source_id: str | None = None
    author_country: Path | None = None
    prices: Path | None = None
    unit: UnitOf = "tenant"


def run_study(
    ledger: Ledger | None,
    catalog: Catalog,
    figures: Sequence[str],
    options: StudyOptions,
    progress: Progress | None = None,
) -> Outcome:
    """Draw the figures from a ledger; where there is none yet, from the public series. Raises TidegateError."""
    overrides = read_author_country(options.author_country, catalog) if options.author_country else {}
    shipped = ledger is None or options.source_id is not None  # beside a ledger, only where asked for by name
    facts = open_facts(
        ledger, catalog, overrides=overrides, shipped=shipped, prices_file=options.prices, progress=progress
    )
    return run_figures(facts, figures, options.params, source_id=options.source_id)
