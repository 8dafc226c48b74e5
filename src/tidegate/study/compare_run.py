"""A comparison from start to end: which ledger, which sources, which published values."""

import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tidegate.catalog import Catalog
from tidegate.ledger.store import Ledger
from tidegate.study.authors import read_author_country
from tidegate.study.compare import Comparison, compare
from tidegate.study.facts import open_facts
from tidegate.study.published import Published, read_published
from tidegate.study.result import StudyError


class CompareOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which published values, whose countries, whose prices, and the one source that is wanted (None: the nearest)."""

    wanted: Sequence[str] = ()
    author_country: Path | None = None
    prices: Path | None = None
    source_id: str | None = None


def run_compare(
    ledger: Ledger | None,
    catalog: Catalog,
    options: CompareOptions,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare with a ledger; where there is none yet, with the public series. Raises TidegateError with the mend."""
    published = read_published()
    wanted = resolve_names(published, options.wanted)
    overrides = read_author_country(options.author_country, catalog) if options.author_country else {}
    shipped = ledger is None or options.source_id is not None  # beside a ledger, only where asked for by name
    facts = open_facts(
        ledger, catalog, overrides=overrides, shipped=shipped, prices_file=options.prices, progress=progress
    )
    sources = [source for source in facts.sources if options.source_id in (None, source.source_id)]
    if not sources:
        names = ", ".join(source.source_id for source in facts.sources)
        if options.source_id is not None and names:
            raise StudyError(f"the ledger has no source {options.source_id!r}; it has {names}")
        raise StudyError(
            "the ledger has no sealed rows and no imported series yet. Make a call and run `tidegate ledger seal`, or "
            "`tidegate ledger import openrouter-daily FILE`."
        )
    return compare(facts, sources, published, wanted, progress)


def resolve_names(published: Published, words: Sequence[str]) -> tuple[str, ...]:
    """Ids of claims and contradictions by what people write: `fig-1-cn`, `Fig 1`, `tab-3`, `C8`.

    A word that is no id stands for every claim at that place. Raises StudyError for a word that is neither.
    """
    ids = [claim.id for claim in published.claims] + [entry.id for entry in published.contradictions]
    found: list[str] = []
    for word in words:
        slug = re.sub(r"[\s_]+", "-", word.strip().lower())
        exact = [name for name in ids if name.lower() == slug]
        at_place = [claim.id for claim in published.claims if slug in (claim.id, _slug(claim.place))]
        below = [name for name in ids if name.lower().startswith(f"{slug}-")]
        hits = list(dict.fromkeys([*exact, *at_place, *below]))
        if not hits:
            near = difflib.get_close_matches(slug, [name.lower() for name in ids], n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise StudyError(f"nothing published goes by {word!r}.{hint} Write `Fig 1`, `tab-3`, `C8`, or an id.")
        found += hits
    return tuple(dict.fromkeys(found))


def _slug(place: str) -> str:
    return re.sub(r"[\s_]+", "-", place.lower())
