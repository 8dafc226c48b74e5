"""The comparison: both sides by day and model, every difference with its causes, the causes ranked over all."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from tidegate.accounts.audit.prices import plain_model
from tidegate.accounts.reconcile.causes import Part, hints, parts_of
from tidegate.accounts.reconcile.day import DayModel, DayUse, at_hours_of
from tidegate.accounts.reconcile.export import Export, read_export
from tidegate.accounts.reconcile.mapping import read_mapping
from tidegate.accounts.reconcile.ours import OWN, read_ours
from tidegate.catalog import Catalog, load_catalog
from tidegate.core.errors import LedgerError
from tidegate.core.price import Price
from tidegate.ledger.imports import check_files
from tidegate.ledger.store import Ledger

NOT_BY_MODEL: Final = "(not by model)"
ROUNDING_NANO_USD: Final = 10_000_000
"""A cent: providers' exports are rounded; smaller differences of a day and model are not called differences."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user may say. form: of all files; empty: told from each. provider: ours; empty: the form's name.

    source_id: whose rows. mapping: for tables that no form knows. catalog: folders that win over the shipped one.
    """

    form: str = ""
    provider: str = ""
    source_id: str = OWN
    mapping: Path | None = None
    catalog: tuple[Path, ...] = ()


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One day and model. difference_nano_usd: above zero the provider's bill is higher; None where it bills nothing.

    is_list_price: the export states no amount; its tokens at the list price stand in for it. parts: largest first.
    """

    day: str
    model: str
    ours: DayUse
    theirs: DayUse
    difference_nano_usd: int | None
    is_list_price: bool
    parts: tuple[Part, ...]

    @property
    def is_alike(self) -> bool:
        return abs(self.difference_nano_usd or 0) < ROUNDING_NANO_USD


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """The result. causes: of all differences, the largest sum of absolute amounts first."""

    provider: str
    first_day: str
    last_day: str
    ours_nano_usd: int
    theirs_nano_usd: int
    days: tuple[Compared, ...]
    causes: tuple[tuple[str, int, int], ...]  # cause, net nano-USD, days and models
    notes: tuple[str, ...]

    @property
    def difference_nano_usd(self) -> int:
        return self.theirs_nano_usd - self.ours_nano_usd


def reconcile(files: Sequence[Path], ledger: Ledger, options: Options | None = None) -> Reconciled:
    """Hold a provider's export against the ledger. Raises LedgerError for files that are no export known here."""
    chosen = options or Options()
    if not files:
        raise LedgerError("no file named: `tidegate accounts reconcile EXPORT...`")
    check_files(files)
    catalog = load_catalog(chosen.catalog)

    def canonical(name: str) -> str:
        if name == NOT_BY_MODEL:
            return name
        resolved = catalog.resolve(plain_model(name))
        return resolved.model + resolved.suffix

    own = read_mapping(chosen.mapping).read if chosen.mapping else None
    export = read_export(files, chosen.form, canonical, own)
    provider = chosen.provider or _provider(export)
    first, last = min(day for day, _ in export.days), max(day for day, _ in export.days)
    everything = read_ours(ledger, provider, chosen.source_id, canonical)
    ours = {key: use for key, use in everything.items() if first <= key[0] <= last}
    days = _compare(ours, export.days, catalog, provider)
    outside = sum(use.requests or 0 for key, use in everything.items() if key not in ours)
    return Reconciled(
        provider=provider,
        first_day=first,
        last_day=last,
        ours_nano_usd=sum(item.ours.cost_nano_usd or 0 for item in days),
        theirs_nano_usd=sum((item.ours.cost_nano_usd or 0) + (item.difference_nano_usd or 0) for item in days),
        days=tuple(days),
        causes=tuple(_causes(days)),
        notes=(*export.forms, *_notes(export, days, outside, provider, bool(everything))),
    )


def _provider(export: Export) -> str:
    """The provider whose export it is, by the form's name."""
    names = {text.rpartition(": ")[2] for text in export.forms}
    if len(names) == 1 and "table" not in names:
        return names.pop()
    raise LedgerError(f"whose export is it? Name the provider with --provider; the files are {', '.join(export.forms)}")


def _compare(
    ours: dict[DayModel, DayUse], theirs: dict[DayModel, DayUse], catalog: Catalog, provider: str
) -> list[Compared]:
    hinted = hints(ours, theirs)
    found = []
    for day, model in sorted({*ours, *theirs}):
        mine, bill = ours.get((day, model), DayUse()), theirs.get((day, model), DayUse())
        price = None if model == NOT_BY_MODEL else catalog.price_on(provider, model, day)
        price = None if price is None else at_hours_of(price, mine)
        hint = hinted.get((day, model), "")
        if (day, model) not in theirs:
            bill = DayUse(input_tokens=0, output_tokens=0, requests=0, cost_nano_usd=0)
            hint = hint or "not_in_their_export"
        elif (day, model) not in ours:
            hint = hint or "not_in_our_rows"
        found.append(_compared(day, model, mine, bill, price, hint))
    return sorted(found, key=lambda item: (-abs(item.difference_nano_usd or 0), item.day, item.model))


def _compared(day: str, model: str, ours: DayUse, theirs: DayUse, price: Price | None, hint: str) -> Compared:
    billed = theirs.cost_nano_usd
    listed = billed is None and price is not None and theirs.has_tokens
    if listed and price is not None:
        billed = theirs.list_cost(price, ours)
    return Compared(
        day=day,
        model=model,
        ours=ours,
        theirs=theirs,
        difference_nano_usd=None if billed is None else billed - (ours.cost_nano_usd or 0),
        is_list_price=listed,
        parts=tuple(parts_of(ours, theirs, price, hint)),
    )


def _causes(days: Sequence[Compared]) -> list[tuple[str, int, int]]:
    net: dict[str, int] = defaultdict(int)
    size: dict[str, int] = defaultdict(int)
    count: dict[str, int] = defaultdict(int)
    for item in days:
        for part in item.parts:
            net[part.cause] += part.nano_usd
            size[part.cause] += abs(part.nano_usd)
            count[part.cause] += 1
    return [(cause, net[cause], count[cause]) for cause in sorted(net, key=lambda cause: -size[cause])]


def _notes(export: Export, days: Sequence[Compared], outside: int, provider: str, has_rows: bool) -> list[str]:
    notes = [
        f"left out, unreadable: {item.reason} ({item.count}); first {item.first}" for item in export.tally.rejections()
    ]
    if not has_rows:
        notes.append(f"our ledger has no call to provider {provider!r}: name it as your configuration does, --provider")
    if outside:
        notes.append(f"{outside} calls of ours are on other days than the export: left out")
    if any(item.is_list_price for item in days):
        notes.append("where the export states tokens and no amount, its tokens stand at the catalog's list price")
    if any(item.model == NOT_BY_MODEL for item in days):
        notes.append("some lines of the export name no model: fetch it grouped by model (OpenAI: by line_item)")
    if any(item.difference_nano_usd is None for item in days):
        notes.append("where neither the export nor the catalog has a price, only counts can be compared")
    return notes
