"""The reference set as arrays; every test that asks for it is skipped where the data is not there."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tidegate.index.tree import Floats, Tree, tree_from_parents, weight_vector

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "asem"
needs_asem = pytest.mark.skipif(not FOLDER.is_dir(), reason="the reference set is not on this machine")


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def frame(name: str) -> tuple[list[str], list[str], Floats]:
    """Row codes, column codes, values; NA is NaN."""
    table = rows(name)
    columns = [column for column in table[0] if column != "uCode"]
    values = [[float("nan") if row[c] in ("NA", "") else float(row[c]) for c in columns] for row in table]
    return [row["uCode"] for row in table], columns, np.array(values)


def asem_tree() -> tuple[Tree, Floats]:
    """The published framework and its weights."""
    meta = [row for row in rows("iMeta") if row["Type"] in ("Indicator", "Aggregate")]
    indicators = [row["iCode"] for row in meta if row["Type"] == "Indicator"]
    tree = tree_from_parents(indicators, {row["iCode"]: row["Parent"] or None for row in meta})
    return tree, weight_vector(tree, {row["iCode"]: float(row["Weight"]) for row in meta})
