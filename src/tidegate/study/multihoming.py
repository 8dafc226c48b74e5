"""How many models an account or an application uses in the same period."""

import datetime as dt
from collections import defaultdict

from tidegate.study.facts import Facts, Source
from tidegate.study.model_names import NOBODY
from tidegate.study.params import Params
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.select import Ask, select
from tidegate.study.shares import Drawn, Missing, Table, finish, tabulate

NAME = "multihoming"
QUESTION = "Do accounts use several models at once?"
STATISTICS = ("several models", "several authors", "use by the former")

Held = dict[tuple[dt.date, str], dict[str, int]]  # (period, unit) -> model -> amount


def multihoming(facts: Facts, source: Source, params: Params) -> Result:
    """Share of accounts (by Monday week) or applications with two or more models, or authors, in a period."""
    found: list[Cell] = []
    tables: list[Table] = []
    notes: list[str] = []
    for unit, relation in (("account", "accounts"), ("app", "apps")):
        ask = Ask(
            group=f"coalesce({unit}, '')",
            relation="accounts" if relation == "accounts" else "apps",
            where=f"{unit} IS NOT NULL AND model IS NOT NULL",
            of="any",
        )
        try:
            table = tabulate(NAME, facts, source, params, ask)
            held = _held(facts, source, params, ask)
        except NotComputable as error:
            notes.append(f"Not by {unit}: {error}.")
            continue
        if held:
            tables.append(table)
            found += _cells(facts, table, held, unit)
            notes.append(_steady(held, unit))
    if not tables:
        raise NotComputable(NAME, source.source_id, "no call has an account (tenant_id) or an application (app)")
    return finish(
        source,
        params,
        tables[0],
        Drawn(
            figure=NAME,
            definition=(
                f"Share of the accounts (and of the applications) active in a {params.grain} that use two or more "
                "models in it, or models of two or more authors; and the share of the measure that comes from those "
                "with several models. Variants and dated releases of one name are one model."
            ),
            rows=tuple(found),
            missing=Missing(),
            notes=notes,
            unit=f"accounts, applications or {params.measure}",
        ),
    )


def _held(facts: Facts, source: Source, params: Params, ask: Ask) -> Held:
    selected, values = select(NAME, facts, source, params, ask)
    held: Held = defaultdict(dict)
    for period, unit, model, value in facts.query(
        f"SELECT period, grouped, model, sum(value) FROM ({selected}) GROUP BY ALL ORDER BY ALL", values
    ):
        if value and model.lower() not in NOBODY:
            slug = facts.makers.catalog.resolve(model).model
            held[period, unit][slug] = held[period, unit].get(slug, 0) + int(value)
    return held


def _cells(facts: Facts, table: Table, held: Held, unit: str) -> list[Cell]:
    cells = []
    for period in table.coverage.kept:
        uses = [used for (when, _), used in held.items() if when == period]
        several = [used for used in uses if len(used) > 1]
        authors = [used for used in uses if len({facts.makers.of_model(model).author for model in used}) > 1]
        amount, whole = sum(map(_total, several)), sum(map(_total, uses))
        for statistic, value, of in zip(
            STATISTICS, (len(several), len(authors), amount), (len(uses), len(uses), whole), strict=True
        ):
            groups = {"unit": unit, "statistic": statistic}
            share = value / of if of else None
            cells.append(Cell(period=period.isoformat(), groups=groups, value=value if of else None, share=share))
    return cells


def _total(used: dict[str, int]) -> int:
    return sum(used.values())


def _steady(held: Held, unit: str) -> str:
    """How many units, and how many models the middle one uses over the whole window."""
    models: dict[str, set[str]] = defaultdict(set)
    for (_, name), used in held.items():
        models[name] |= used.keys()
    counts = sorted(len(found) for found in models.values())
    return f"{len(counts)} {unit}s; over the whole window the median one uses {counts[(len(counts) - 1) // 2]} models."
