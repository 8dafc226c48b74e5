"""The reference set as tables and a framework of the engine."""

from asem_files import frame, rows

from tidegate.index.framework import Framework, Group, Indicator, Size, check_framework
from tidegate.index.table import Table


def table(name: str) -> Table:
    """One step's file."""
    units, columns, values = frame(name)
    return Table.of(units, columns, values)


def framework() -> Framework:
    """The published framework; its indicators in the order of the step files."""
    meta = {row["iCode"]: row for row in rows("iMeta")}
    groups = [row for row in meta.values() if row["Type"] == "Aggregate"]
    sizes = [row for row in meta.values() if row["Type"] == "Denominator"]
    order = [column for column in rows("step0_raw_indicators")[0] if column != "uCode"]
    made = Framework(
        name="ASEM",
        groups=tuple(
            Group(code=row["iCode"], parent=row["Parent"].replace("NA", ""), weight=float(row["Weight"]))
            for row in groups
        ),
        indicators=tuple(
            Indicator(
                code=code,
                parent=meta[code]["Parent"],
                unit=meta[code]["Unit"],
                direction=1 if meta[code]["Direction"] == "1" else -1,
                weight=float(meta[code]["Weight"]),
                denominator=meta[code]["Denominator"].replace("NA", ""),
                target=float(meta[code]["Target"]),
            )
            for code in order
        ),
        sizes=tuple(Size(code=row["iCode"], unit=row["Unit"]) for row in sizes),
        measures=tuple({row["Unit"] for row in meta.values()}),
    )
    check_framework(made)
    return made


def sizes() -> Table:
    """The four denominators, in the order of the step files' units."""
    by_unit = {row["uCode"]: row for row in rows("iData")}
    units = [row["uCode"] for row in rows("step0_raw_indicators")]
    codes = ["Area", "Energy", "GDP", "Population"]
    return Table.of(units, codes, [[float(by_unit[unit][code] or "nan") for code in codes] for unit in units])


def labels(column: str) -> dict[str, str]:
    """A grouping column of the input file, by unit."""
    return {row["uCode"]: row[column] for row in rows("iData")}
