"""Tables from CSV: every cell is a number, an interval or missing, or it is named with its line."""

import math
from pathlib import Path

import numpy as np
import pytest
from asem_files import FOLDER, needs_asem
from asem_tables import table as asem_table
from hypothesis import given
from hypothesis import strategies as st

from tidegate.index.table import BOUNDED, IndexRefusal, Table, bounded
from tidegate.index.tables import read_labels, read_table, write_table

NAN = math.nan


def written(folder: Path, text: str) -> Path:
    file = folder / "rows.csv"
    file.write_text(text, "utf-8")
    return file


def test_cells_are_numbers_intervals_or_missing(tmp_path: Path) -> None:
    file = written(tmp_path, "\ufeffunit,name,x,y\na,Aland,1.5,< 2\nb,Bland,,3 .. 5\nc,Cland,NA,-1e3\n\n")
    found = read_table(file, ["y", "x"])
    assert found.units == ("a", "b", "c")
    np.testing.assert_array_equal(found.values, [[1, 1.5], [4, NAN], [-1000, NAN]])
    assert found.low is not None
    assert found.low[:, 0].tolist() == [0, 3, -1000]
    assert found.marks[:, 0].tolist() == [BOUNDED, BOUNDED, 0]
    assert read_labels(file, "name") == {"a": "Aland", "b": "Bland", "c": "Cland"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unit,x\na,5 .. 3\n", r"line 2, column x: the bound '5 \.\. 3' is reversed; write 3 \.\. 5"),
        ("unit,x\na,> 9\n", "'> 9' is open above; write both ends"),
        ("unit,x\na,1\nb,many\n", "line 3, column x: 'many' is no number; leave it empty"),
        ('unit,x\na,"1,000"\n', "'1,000' is no number; write it without separators"),
        ("unit,x\na,inf\n", "'inf' is no number"),
        ("unit,x\na,< -2\n", "has no lower end"),
        ("unit,x\na,1\na,2\n", "line 3: unit 'a' is on line 2 too; merge"),
        ("unit,x\n,1\n", "line 2: unit is empty; name it"),
        ("unit,x\na,1,2\n", "line 2: 3 fields where the header has 2"),
        ("country,x\na,1\n", "has no column 'unit'; its header is country, x"),
        ("unit,y\na,1\n", "has no column 'x'; its header is unit, y"),
        ("unit,x\n", "a header and no rows"),
        ("", "its header is empty"),
        ("unit,x,x\na,1,2\n", "has two columns named 'x'; rename one"),
    ],
)
def test_what_is_none_is_named_with_line_and_mend(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(IndexRefusal, match=said):
        read_table(written(tmp_path, text), ["x"])


def test_a_quoted_cell_may_hold_commas_and_lines(tmp_path: Path) -> None:
    file = written(tmp_path, 'unit,name,x\na,"one, or\nthe other",3\nb,,many\n')
    with pytest.raises(IndexRefusal, match="line 4, column x: 'many'"):
        read_table(file, ["x"])
    assert read_labels(file, "name") == {"a": "one, or\nthe other"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexRefusal, match=r"none\.csv cannot be read"):
        read_table(tmp_path / "none.csv", ["x"])
    (tmp_path / "latin.csv").write_bytes(b"unit,x\n\xe9,1\n")
    with pytest.raises(IndexRefusal, match="byte 7 is not UTF-8"):
        read_table(tmp_path / "latin.csv", ["x"])


numbers = st.one_of(st.just(NAN), st.floats(-1e12, 1e12))


@given(cells=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6), high=st.floats(0.1, 9))
def test_what_is_written_is_read_back_to_the_last_digit(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[float, float]], high: float
) -> None:
    made = Table.of([f"u{n}" for n in range(len(cells))], ["x", "y"], cells)
    made = bounded(made, {("u0", "x"): (0, high)})
    file = tmp_path_factory.mktemp("tables") / "out.csv"
    write_table(made, file, names={"u0": "first, with a comma"})
    found = read_table(file, ["x", "y"])
    np.testing.assert_array_equal(found.values, made.values)
    np.testing.assert_array_equal(found.low, made.low)
    np.testing.assert_array_equal(found.marks, made.marks)


@needs_asem
def test_the_reference_input_is_read() -> None:
    expected = asem_table("step0_raw_indicators")
    found = read_table(FOLDER / "iData.csv", expected.indicators, "uCode").pick(units=expected.units)
    np.testing.assert_array_equal(found.values, expected.values)
