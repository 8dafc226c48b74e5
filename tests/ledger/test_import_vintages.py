"""Units of restated days add up to what was published last, whatever was published before."""

import datetime as dt
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.ledger.imports.daily import DayFact, Vintage, add_daily
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.rollup import attach
from tidegate.ledger.store import Ledger
from tidegate.ledger.verify import verify

DAY = dt.date(2026, 3, 23)
PUBLISHED = st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1)


def vintage(number: int, tokens: dict[str, tuple[int, int]]) -> Vintage:
    facts = tuple(
        DayFact(day=DAY, response_model=name, total_tokens=total, calls=calls)
        for name, (total, calls) in tokens.items()
    )
    return Vintage(name=f"{number}.csv", as_of=dt.datetime(2026, 4, 1) + dt.timedelta(hours=number), facts=facts)


def held(ledger: Ledger) -> dict[str, tuple[int, int]]:
    with open_engine() as connection:
        attach(ledger, connection, "daily_usage")
        rows = connection.execute("SELECT response_model, total_tokens, calls FROM daily_usage").fetchall()
    return {name: (int(total), int(calls)) for name, total, calls in rows}


@settings(max_examples=25, deadline=None)
@given(st.lists(PUBLISHED, min_size=1, max_size=5), st.booleans())
def test_vintages_add_up_to_the_newest(published: list[dict[str, tuple[int, int]]], together: bool) -> None:
    """Told in order: a day that contradicts what is held replaces it, and who is gone counts zero; else names join.

    One import of all files, or one import a file, oldest first: the same.
    """
    expected: dict[str, tuple[int, int]] = {}
    for tokens in published:
        if any(expected.get(name, value) != value for name, value in tokens.items()):
            expected = dict.fromkeys(expected, (0, 0))
        expected.update(tokens)
    vintages = [vintage(number, tokens) for number, tokens in enumerate(published)]
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.create(Path(folder) / "ledger")
        for group in [vintages[::-1]] if together else [[item] for item in vintages]:
            add_daily(ledger, "series", group, prefix="test")
        assert held(ledger) == expected
        assert not verify(ledger).findings
        before = ledger.entries()
        add_daily(ledger, "series", [vintages[-1]], prefix="test")
        assert ledger.entries() == before
