"""One sync from end to end: read the packages that are at hand, merge, write."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from tidegate.catalog.catalog import DATA
from tidegate.catalog.overlay import Overlay, joined, read_overlay
from tidegate.catalog.source_fact import SourceFact
from tidegate.catalog.source_genai_prices import read_genai_prices
from tidegate.catalog.source_litellm import download_wheel, read_litellm
from tidegate.catalog.source_models_dev import read_models_dev
from tidegate.catalog.sync import Tables, merge, read_before, read_own, write_tables
from tidegate.core.errors import CatalogError


class SyncOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What to sync. `day`: ISO date written as `checked`. `wheel`: litellm's, already here; else it is downloaded.

    `use_litellm`: false leaves that package out and needs no network.
    """

    out: Path
    day: str
    wheel: Path | None = None
    use_litellm: bool = True


class SyncReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `read`: (package and version, facts); `missing`: one line for each package not had."""

    tables: Tables
    read: tuple[tuple[str, int], ...]
    missing: tuple[str, ...]
    written: tuple[Path, ...]


def run_sync(order: SyncOrder, progress: Callable[[str], None]) -> SyncReport:
    """Write the tables of `order.out` anew; the same packages, tables and day give the same bytes.

    progress: called with the name of each step. Raises CatalogError when no package can be had.
    """
    overlay = read_overlay(DATA)
    if order.out.resolve() != DATA:
        overlay = joined(overlay, read_overlay(order.out))
    facts, missing = _read(order, overlay, progress)
    if not facts:
        raise CatalogError("; ".join(missing) + ". Install them with: pip install 'tidegate[prices]'")
    progress("merging")
    tables = merge(facts, overlay, order.day, *read_before(order.out), read_own(order.out))
    progress("writing")
    written = write_tables(tables, overlay, order.out)
    counts: dict[str, int] = {}
    for fact in facts:
        counts[fact.source] = counts.get(fact.source, 0) + 1
    return SyncReport(tables=tables, read=tuple(counts.items()), missing=tuple(missing), written=tuple(written))


def _read(order: SyncOrder, overlay: Overlay, progress: Callable[[str], None]) -> tuple[list[SourceFact], list[str]]:
    facts: list[SourceFact] = []
    missing: list[str] = []
    for package, reader in (("genai-prices", read_genai_prices), ("models-dev", read_models_dev)):
        progress(f"reading {package}")
        try:
            facts += reader(_providers(overlay, package))
        except ImportError:
            missing.append(f"{package} is not installed")
    if not order.use_litellm:
        return facts, [*missing, "litellm was left out on request"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            if order.wheel is None:
                progress("downloading litellm's wheel (for its price file; it is not installed)")
            wheel = order.wheel or download_wheel(Path(folder))
            progress("reading litellm")
            facts += read_litellm(wheel, _providers(overlay, "litellm"))
    except CatalogError as error:
        if order.wheel is not None:
            raise
        missing.append(str(error))
    return facts, missing


def _providers(overlay: Overlay, package: str) -> dict[str, str]:
    """The package's name of a provider -> ours."""
    return {entry.packages[package]: entry.provider for entry in overlay.providers if package in entry.packages}
