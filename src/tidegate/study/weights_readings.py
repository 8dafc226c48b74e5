"""How the open share reads where sources disagree on a model's weights: the same tokens, counted with others' words."""

import datetime as dt
from collections.abc import Iterator
from functools import cache
from importlib import resources

import msgspec

from tidegate.core.facts import Weights
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.periods import ONE_DAY, Window, period_end
from tidegate.study.quantity import percent
from tidegate.study.select import Ask
from tidegate.study.shares import Table, tabulate

PERIODS_MAX = 13  # of which a reading tells the shares
HALF = 0.5  # of its days: an incomplete first period with fewer is not told
_GROUP = "concat(CASE WHEN origin = 'cloaked' THEN 'unknown' ELSE weights END, '|', coalesce(model, ''))"


class Reading(msgspec.Struct, frozen=True, kw_only=True, rename={"weights": "as"}):
    """One way to read: the weights of some models, what speaks for them, and where it can be seen."""

    reading: str
    weights: dict[str, Weights]
    why: str
    source: str
    checked: str


@cache
def readings() -> tuple[Reading, ...]:
    """The readings as shipped."""
    text = resources.files("tidegate.data").joinpath("weights_readings.yml").read_bytes()
    return tuple(msgspec.yaml.decode(text, type=list[Reading]))


def reading_notes(figure: str, facts: Facts, source: Source, params: Params, table: Table) -> Iterator[str]:
    """The open share of each period: as the catalog has it, and by every reading that changes it. None without models.

    A first period that the source covers only in part is dropped from the figure, since its sum is too low; its share
    is told here with its days, if it has half of them.
    """
    if not source.names_models or not table.coverage.kept or not table.total():
        return
    counted = [(params, "")]
    if early := _early(table, params):
        counted.insert(0, early)
    lines: dict[str, list[str]] = {"": [], **{reading.reading: [] for reading in readings()}}
    for asked, days in counted:
        by_model = tabulate(figure, facts, source, asked, Ask(group=_GROUP, of="models"))
        for period in by_model.coverage.kept[-PERIODS_MAX:]:
            groups = by_model.sums[period]
            catalogs = _open_share(facts, groups, {})
            lines[""].append(f"{_name(period, params)}{days} {percent(catalogs)}")
            for reading in readings():
                share = _open_share(facts, groups, reading.weights)
                if round(share, 4) != round(catalogs, 4):
                    lines[reading.reading].append(f"{_name(period, params)}{days} {percent(share)}")
    whys = {reading.reading: reading.why for reading in readings()}
    moved = any(found for name, found in lines.items() if name)
    yield "What counts as open moves the open share." if moved else "The open share by period."
    yield f"- open weights as the catalog has them: {', '.join(lines[''])}"
    for name, found in lines.items():
        if name and found:
            yield f"- {name}: {', '.join(found)} ({whys[name]})"


def _early(table: Table, params: Params) -> tuple[Params, str] | None:
    """The incomplete period before the first whole one, from its first day of full collection on."""
    before = [gone for gone in table.coverage.dropped if gone[0] < table.coverage.kept[0]]
    if table.coverage.partial or not before or before[-1][1] < HALF * before[-1][2]:
        return None
    period, present, total = before[-1]
    last = period_end(period, params.grain)
    window = Window(last - (present - 1) * ONE_DAY, last)
    return msgspec.structs.replace(params, window=window), f" ({present} of {total} days)"


def _open_share(facts: Facts, groups: dict[str, int], weights: dict[str, Weights]) -> float:
    """Open over everything, with these models' weights in the place of the catalog's."""
    openly = whole = 0
    for group, value in groups.items():
        known, _, model = group.partition("|")
        slug = facts.makers.catalog.resolve(model).model if model else ""
        whole += value
        if weights.get(slug, known) == "open":
            openly += value
    return openly / whole if whole else 0.0


def _name(period: dt.date, params: Params) -> str:
    return period.isoformat()[:7] if params.grain == "month" else period.isoformat()
