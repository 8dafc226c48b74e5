"""What happens after a model's launch: its own rise, and its author's other models."""

import datetime as dt

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.model_names import NOBODY, by_slug
from tidegate.study.params import Params
from tidegate.study.periods import period_end
from tidegate.study.quantity import percent
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.shares import Ask, Drawn, Missing, Table, finish, tabulate

NAME = "launch_study"
QUESTION = "What happens after a model's launch?"
LAUNCHES_MAX = 10
AROUND = 4  # periods before the launch, and as many after its first, that are compared


class Launch(msgspec.Struct, frozen=True):
    """A model that appears after the source's first period. place: of its first period among those kept."""

    model: str
    author: str
    place: int
    total: int


def launch_study(facts: Facts, source: Source, params: Params) -> Result:
    """Share of all use by periods since the first one, for the largest models that appeared inside the window."""
    table = by_slug(
        tabulate(NAME, facts, source, params, Ask(group="coalesce(model, '')", of="models")), facts.makers.catalog
    )
    periods = table.coverage.kept
    if len(periods) < 3:
        raise NotComputable(NAME, source.source_id, f"fewer than three whole {params.grain}s: no launch can be seen")
    whole = [sum(table.sums[period].values()) for period in periods]
    launches = _launches(facts, source, params, table, periods)
    if not launches:
        raise NotComputable(NAME, source.source_id, "no model appears after its first period")
    rows = []
    for launch in launches:
        for since, place in enumerate(range(launch.place, len(periods))):
            value = table.sums[periods[place]].get(launch.model, 0)
            rows.append(
                Cell(
                    period=periods[place].isoformat(),
                    groups={"model": launch.model, "since_launch": str(since)},
                    value=value,
                    share=value / whole[place] if whole[place] else None,
                )
            )
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"Share of all {params.measure} by {params.grain}s since a model's first {params.grain}, for the "
                f"{LAUNCHES_MAX} models with most {params.measure} among those that first appear after the source's "
                "first day. Nothing is held constant: prices, free periods and other launches move it too."
            ),
            rows=tuple(rows),
            missing=Missing(sum(table.share(name) for name in NOBODY), "no model's name"),
            notes=[_around(table, periods, whole, launch, params) for launch in launches],
            down=("model", "since_launch"),
        ),
    )


def _launches(facts: Facts, source: Source, params: Params, table: Table, periods: tuple[dt.date, ...]) -> list[Launch]:
    """The largest models whose first use lies after the first kept period, and after the source's own first days."""
    first_use: dict[str, dt.date] = {}
    for name, day in facts.query(
        "SELECT model, min(day) FROM study_models WHERE source_id = ? AND tokens > 0 AND model IS NOT NULL "
        "GROUP BY ALL",
        [source.source_id],
    ):
        slug = facts.makers.catalog.resolve(name).model
        first_use[slug] = min(day, first_use.get(slug, day))
    found = []
    for model, total in table.totals().items():
        day = first_use.get(model)
        if model in NOBODY or day is None or not total or day <= period_end(periods[0], params.grain):
            continue
        place = next((i for i, period in enumerate(periods) if table.sums[period].get(model)), None)
        if place:
            found.append(Launch(model, facts.makers.of_model(model).author, place, total))
    return found[:LAUNCHES_MAX]


def _around(table: Table, periods: tuple[dt.date, ...], whole: list[int], launch: Launch, params: Params) -> str:
    """The author's other models before and after, as shares: whether the new one came on top or in their place."""
    mates = {name for name in table.totals() if name.startswith(f"{launch.author}/") and name != launch.model}
    before = range(max(0, launch.place - AROUND), launch.place)
    after = range(launch.place + 1, min(len(periods), launch.place + 1 + AROUND))
    head = f"{launch.model}, first {params.grain} {periods[launch.place]}: "
    if not after:
        return head + "launched in the last period; nothing to compare yet."
    own = _mean_share(table, periods, whole, after, {launch.model})
    earlier, later = (_mean_share(table, periods, whole, span, mates) for span in (before, after))
    return (
        f"{head}{percent(own)} in the {len(after)} {params.grain}s after it; the author's other models went from "
        f"{percent(earlier)} (mean of {len(before)} before) to {percent(later)}."
    )


def _mean_share(table: Table, periods: tuple[dt.date, ...], whole: list[int], span: range, names: set[str]) -> float:
    shares = [
        sum(table.sums[periods[place]].get(name, 0) for name in names) / whole[place] for place in span if whole[place]
    ]
    return sum(shares) / len(shares) if shares else 0.0
