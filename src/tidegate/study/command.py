"""A study from start to end: which ledger, whose catalog, what was asked for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from tidegate.catalog import load_catalog
from tidegate.config import load_config
from tidegate.ledger.store import Ledger
from tidegate.study.authors import read_author_country
from tidegate.study.facts import Facts, open_facts
from tidegate.study.figures import Outcome, run_figures
from tidegate.study.params import Measure, Params, parse_view
from tidegate.study.periods import Anchor, Grain, parse_window

Progress = Callable[[int, int], None]


class StudyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters, the analyst's own countries, and the one source that is wanted (None: each by itself)."""

    params: Params
    author_country: Path | None = None
    source_id: str | None = None

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
        )
        return cls(params=params, author_country=given.author_country, source_id=given.source_id)


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    grain: Grain
    week_anchor: Anchor
    measure: Measure
    view: str
    free: bool
    cloaked: bool
    byok: bool
    window: str | None = None
    source_id: str | None = None
    author_country: Path | None = None


def run_study(
    ledger_path: Path | None, figures: Sequence[str], options: StudyOptions, progress: Progress | None = None
) -> Outcome:
    """Draw the figures from the ledger (None: the installation's own). Raises TidegateError with the mend."""
    facts = facts_of(ledger_path, options.author_country, progress=progress, shipped=options.source_id is not None)
    return run_figures(facts, figures, options.params, source_id=options.source_id)


def facts_of(
    ledger_path: Path | None,
    author_country: Path | None = None,
    *,
    progress: Progress | None = None,
    shipped: bool = False,
) -> Facts:
    """Facts of a ledger with the installation's catalog. shipped: the public series beside it."""
    config = load_config()
    overrides = read_author_country(author_country) if author_country else {}
    ledger = Ledger.open(ledger_path or config.ledger_path)
    catalog = load_catalog([config.home_path / "catalog"])
    return open_facts(ledger, catalog, overrides=overrides, shipped=shipped, progress=progress)
