"""Is there enough data: of each unit, each group of a unit, each indicator. Who is left out is a row of the record.

Customary limits: two thirds of the indicators for a unit (COINr), 65 percent for an indicator (JRC).
"""

from collections.abc import Collection
from typing import Literal

import msgspec
import numpy as np

from tidegate.index.framework import Framework
from tidegate.index.outliers import kurtosis, skew
from tidegate.index.table import IndexRefusal, Matrix, Table, Vector

By = Literal["data", "nonzero", "both"]


class Screening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a unit needs to stay. by: which test counts. data: part of indicators present; nonzero: part of those
    present that are not 0. keep, drop: units forced in or out; that they were is in the record."""

    by: By = "data"
    data: float = 2 / 3
    nonzero: float = 2 / 3
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class UnitData(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a unit. data: part of the indicators present; nonzero: part of those present, None where none
    is. forced: kept or dropped whatever the data say."""

    unit: str
    missing: int
    zeros: int
    data: float
    nonzero: float | None
    low_data: bool
    low_nonzero: bool
    kept: bool
    forced: bool


class ColumnLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an indicator is flagged. available, nonzero, unique: parts of all units, at least; skew and kurtosis: both
    above is an outlier."""

    available: float = 0.65
    nonzero: float = 0.5
    unique: float = 0.5
    skew: float = 2.0
    kurtosis: float = 3.5


class ColumnData(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of an indicator; None where too few values are present to say.

    same: size of the largest group of equal values. flags: of few_values, many_zeros, few_distinct, outliers, constant.
    """

    indicator: str
    low: float | None
    high: float | None
    mean: float | None
    median: float | None
    sd: float | None
    skew: float | None
    kurtosis: float | None
    available: int
    nonzero: int
    unique: int
    same: int
    flags: tuple[str, ...]


def screen(table: Table, spec: Screening | None = None) -> tuple[Table, tuple[UnitData, ...]]:
    """The table without the units that have too little, and the record of all units.

    Raises IndexRefusal for a forced unit that is not there, and where nobody would be left.
    """
    spec = spec or Screening()
    for unit in (*spec.keep, *spec.drop):
        if unit not in table.units:
            raise IndexRefusal(f"forced unit {unit!r} is not in the table; there are {', '.join(table.units)}")
    if both := set(spec.keep) & set(spec.drop):
        raise IndexRefusal(f"unit {min(both)} is forced in and out; choose one")
    records = tuple(_unit(unit, row, spec) for unit, row in zip(table.units, table.values, strict=True))
    kept = [record.unit for record in records if record.kept]
    if not kept:
        raise IndexRefusal(f"no unit has {spec.data:.0%} of its indicators; lower the limit or drop indicators")
    return table.pick(units=kept), records


def _unit(unit: str, row: Vector, spec: Screening) -> UnitData:
    missing, zeros = int(np.isnan(row).sum()), int((row == 0).sum())
    present = len(row) - missing
    data = present / len(row)
    nonzero = (present - zeros) / present if present else None
    low_data, low_nonzero = data < spec.data, nonzero is not None and nonzero < spec.nonzero
    low = {"data": low_data, "nonzero": low_nonzero, "both": low_data or low_nonzero}[spec.by]
    kept = unit in spec.keep or not (low or unit in spec.drop)
    return UnitData(
        unit=unit,
        missing=missing,
        zeros=zeros,
        data=data,
        nonzero=nonzero,
        low_data=low_data,
        low_nonzero=low_nonzero,
        kept=kept,
        forced=kept == low,
    )


def group_availability(table: Table, framework: Framework) -> tuple[tuple[str, ...], Matrix]:
    """Codes of the groups with data, and (n_units, n_groups) the part of each group's indicators that a unit has."""
    groups = [group.code for group in framework.groups if set(framework.leaves(group.code)) & set(table.indicators)]
    present = ~table.missing
    found = np.empty((len(table.units), len(groups)))
    for number, group in enumerate(groups):
        leaves = set(framework.leaves(group))
        found[:, number] = present[:, [code in leaves for code in table.indicators]].mean(axis=1)
    return tuple(groups), found


def describe(table: Table, limits: ColumnLimits | None = None) -> tuple[ColumnData, ...]:
    """What there is of each indicator, and what to look at before using it."""
    chosen = limits or ColumnLimits()
    return tuple(_column(code, table.values[:, n], chosen) for n, code in enumerate(table.indicators))


def unfit(table: Table, limits: ColumnLimits | None = None, keep: Collection[str] = ()) -> tuple[str, ...]:
    """Indicators with too few values, or with one value only, but for those that somebody keeps."""
    bad = {"few_values", "constant"}
    return tuple(c.indicator for c in describe(table, limits) if bad & set(c.flags) and c.indicator not in keep)


def _column(code: str, x: Vector, limits: ColumnLimits) -> ColumnData:
    y = x[~np.isnan(x)]
    counts = np.unique(y, return_counts=True)[1]
    nonzero, unique = int((y != 0).sum()), len(counts)
    skewness, peak = skew(x), kurtosis(x)
    flags = {
        "few_values": len(y) < limits.available * len(x),
        "many_zeros": nonzero < limits.nonzero * len(x),
        "few_distinct": unique < limits.unique * len(x),
        "outliers": abs(skewness) > limits.skew and peak > limits.kurtosis,
        "constant": unique == 1,
    }
    return ColumnData(
        indicator=code,
        low=float(y.min()) if len(y) else None,
        high=float(y.max()) if len(y) else None,
        mean=float(y.mean()) if len(y) else None,
        median=float(np.median(y)) if len(y) else None,
        sd=float(y.std(ddof=1)) if len(y) > 1 else None,
        skew=None if np.isnan(skewness) else skewness,
        kurtosis=None if np.isnan(peak) else peak,
        available=len(y),
        nonzero=nonzero,
        unique=unique,
        same=int(counts.max()) if len(y) else 0,
        flags=tuple(flag for flag, on in flags.items() if on),
    )
