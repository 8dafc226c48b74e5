"""Imports: other people's records come in exactly, once, or not at all."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports import run_import
from tidegate.ledger.imports.text import exact_count
from tidegate.ledger.store import Ledger

HEADER = "Date,Model,Prompt,Completion,Reasoning,Total_Tokens\n"
LINE = "2026-03-23,openai/gpt-4o,1.208996,0.261016,0.170263,1.470012\n"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def write(tmp_path: Path, text: str, name: str = "usage.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(text.encode())
    return file


def held(ledger: Ledger, columns: str = "day, response_model, model_variant, total_tokens") -> list[tuple[object, ...]]:
    files = [str(file) for file in ledger.rollup_files("daily_usage")]
    return ledger.connect().execute(f"SELECT {columns} FROM read_parquet(?) ORDER BY ALL", [files]).fetchall()


def test_billions_become_exact_counts(ledger: Ledger, tmp_path: Path) -> None:
    """1.208996 in the CSV is 1,208,996,000 tokens; a float would leave 1,208,995,999.99."""
    report = run_import("openrouter-daily", [write(tmp_path, HEADER + LINE)], ledger)
    columns = "usage_input_tokens, usage_output_tokens, usage_reasoning_output_tokens, total_tokens, calls, source_id"
    assert held(ledger, columns) == [(1_208_996_000, 261_016_000, 170_263_000, 1_470_012_000, None, "openrouter-daily")]
    assert (report.read, report.added, report.known) == (1, 1, 0)


@given(st.integers(0, 10**18))
def test_any_count_survives_being_printed_in_billions(tokens: int) -> None:
    text = f"{tokens // 10**9}.{tokens % 10**9:09d}"
    assert exact_count(Path("x"), 1, "prompt", text, 10**9) == (tokens, False)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + LINE,
        (HEADER + LINE).replace("\n", "\r\n"),
        "\n" + HEADER + "\n" + LINE + "\n,,,,,\n",
        "Model,Total_Tokens,Date,Reasoning,Completion,Prompt\nopenai/gpt-4o,1.470012,2026-03-23,0.170263,0.261016,1.208996\n",
        "date,model,prompt,completion\n2026-03-23, OpenAI/GPT-4o ,1.208996,0.261016",
        HEADER + LINE.replace("2026-03-23", "2026-03-23 00:00:00"),
    ],
    ids=["byte order mark", "CRLF", "blank lines", "column order", "few columns, spaces, capitals", "midnight"],
)
def test_spelling_does_not_matter(text: str, ledger: Ledger, tmp_path: Path) -> None:
    run_import("openrouter-daily", [write(tmp_path, text)], ledger)
    assert held(ledger) == [(dt.date(2026, 3, 23), "openai/gpt-4o", "", 1_470_012_000)]


def test_the_same_file_again_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """Also under another name, and also when a later download repeats some days and adds one."""
    run_import("openrouter-daily", [write(tmp_path, HEADER + LINE)], ledger)
    before = (held(ledger), ledger.entries())
    again = run_import("openrouter-daily", [write(tmp_path, HEADER + LINE, "copy.csv")], ledger)
    assert (held(ledger), ledger.entries()) == before
    assert (again.added, again.known) == (0, 1)
    longer = write(tmp_path, HEADER + LINE + LINE.replace("-23,", "-24,"), "longer.csv")
    more = run_import("openrouter-daily", [longer], ledger)
    assert (more.added, more.known, len(held(ledger))) == (1, 1, 2)


@pytest.mark.parametrize(
    ("bad", "seen"),
    [
        (LINE.replace("1.208996", "n/a"), "line 3: prompt is 'n/a', not a number"),
        (LINE.replace("1.208996", "-1"), "line 3: prompt is -1, outside"),
        (LINE.replace("1.208996", "NaN"), "line 3: prompt is 'NaN', not a number"),
        (LINE.replace("2026-03-23", "23.03.2026"), "line 3: the date is '23.03.2026'"),
        (LINE.replace("2026-03-23", "2026-02-30"), "line 3: the date is '2026-02-30'"),
        (LINE.replace("openai/gpt-4o", ""), "line 3: the model has no name"),
        ("2026-03-23,openai/gpt-4o,1.0\n", "line 3: 3 cells where the header has 6"),
        (LINE, "line 3: 2026-03-23 openai/gpt-4o stands here again: first at .*line 2"),
        ('"unclosed\n', "line 3: not CSV"),
    ],
)
def test_bad_input_is_named_by_file_and_line_and_leaves_nothing(
    bad: str, seen: str, ledger: Ledger, tmp_path: Path
) -> None:
    """What was accepted before stays; of the bad import nothing does, its good first line included."""
    run_import("openrouter-daily", [write(tmp_path, HEADER + LINE.replace("-23,", "-01,"), "good.csv")], ledger)
    before = held(ledger)
    with pytest.raises(LedgerError, match=rf"bad\.csv, {seen}"):
        run_import("openrouter-daily", [write(tmp_path, HEADER + LINE + bad, "bad.csv")], ledger)
    assert held(ledger) == before


def test_a_restated_day_is_a_new_vintage(ledger: Ledger, tmp_path: Path) -> None:
    """OpenRouter restates published days: both vintages stay sealed, their sum is the newest, and it is said."""
    run_import("openrouter-daily", [write(tmp_path, HEADER + LINE)], ledger)
    restated = write(tmp_path, HEADER + LINE.replace("1.470012", "1.480012"), "restated.csv")
    report = run_import("openrouter-daily", [restated], ledger)
    assert sorted(held(ledger, "total_tokens")) == [(10_000_000,), (1_470_012_000,)]
    assert (report.added, report.known, report.restated) == (0, 0, 1)
    assert "1 day restated by the source: 1 values changed" in " ".join(report.notes)
    again = run_import("openrouter-daily", [restated], ledger)
    assert (again.known, again.restated, len(held(ledger))) == (1, 0, 2)


def test_odd_rows_are_told_not_dropped(ledger: Ledger, tmp_path: Path) -> None:
    """Reasoning above completion and empty days are in the real source: kept as published, and said."""
    odd = "2025-01-01,a/x,1,0.1,0.2,1.1\n2025-01-01,a/y,0,0,0,0\n2025-01-01,a/z:free,1,1,0,9\n"
    report = run_import("openrouter-daily", [write(tmp_path, HEADER + odd)], ledger)
    told = " ".join(report.lines())
    for words in ("reasoning exceeds completion", "no tokens at all", "not prompt plus completion"):
        assert words in told
    assert held(ledger, "model_variant, total_tokens") == [("", 0), ("", 1_100_000_000), ("free", 9_000_000_000)]


RANKING = [
    {"date": "2026-05-11", "model_permaslug": "openai/gpt-4o-2024-05-13", "total_tokens": "12345678"},
    {"date": "2026-05-11", "model_permaslug": "openai/gpt-4o-2024-05-13:free", "total_tokens": "99"},
    {"date": "2026-05-11", "model_permaslug": "other", "total_tokens": "9007199254740993"},
]


@pytest.mark.parametrize("document", [{"data": RANKING, "meta": {"as_of": "2026-05-12T02:00:00Z"}}, RANKING])
def test_the_documented_rankings_carry_totals_only(document: object, ledger: Ledger, tmp_path: Path) -> None:
    """`rankings-daily` publishes no input and output: they are null, and the 64-bit total is exact."""
    file = write(tmp_path, json.dumps(document, indent=1), "rankings.json")
    report = run_import("openrouter-daily", [file], ledger)
    assert held(ledger, "response_model, model_variant, usage_input_tokens, usage_output_tokens, total_tokens") == [
        ("openai/gpt-4o-2024-05-13", "", None, None, 12345678),
        ("openai/gpt-4o-2024-05-13", "free", None, None, 99),
        ("other", "", None, None, 9007199254740993),
    ]
    assert ("as of 2026-05-12T02:00:00Z" in " ".join(report.lines())) == isinstance(document, dict)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (
            '{"data": [\n {"date": "2026-05-11", "model_permaslug": "a/b", "total_tokens": "1"},\n {"date": "x"}]}',
            "line 3",
        ),
        ('[\n{"date": "2026-05-11", "model_permaslug": "a/b", "total_tokens": "1.5"}]', "line 2: .*not a whole number"),
        ('{"data": [\n{]}', "line 2: not JSON"),
        ('{"rows": []}', "line 1: neither a list"),
    ],
)
def test_bad_rankings_are_named_by_line(text: str, seen: str, ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=seen):
        run_import("openrouter-daily", [write(tmp_path, text, "r.json")], ledger)
    assert ledger.entries() == []


AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n"
)
MOONCAKE = (
    '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}\n\n'
    '{"timestamp": 27, "input_length": 7, "output_length": 5, "hash_ids": [0]}\n'
)


def test_an_azure_trace_becomes_rows(ledger: Ledger, tmp_path: Path) -> None:
    """Time to the microsecond in UTC, lengths as usage; what a trace does not say stays null."""
    run_import("trace", [write(tmp_path, AZURE, "code.csv")], ledger)
    rows = (
        ledger.connect()
        .execute(
            "SELECT ts, source_id, usage_input_tokens, usage_output_tokens, response_model, cost_nano_usd "
            "FROM rows ORDER BY ts"
        )
        .fetchall()
    )
    first = int(dt.datetime(2023, 11, 16, 18, 17, 3, 979960, tzinfo=dt.UTC).timestamp() * 1_000_000)
    assert rows == [
        (first, "trace:code", 4808, 10, None, None),
        (first + 52_000, "trace:code", 3180, 8, None, None),
    ]


def test_the_makers_of_traces_may_be_named(tmp_path: Path) -> None:
    """`azure` and `mooncake` are other names of `trace`: the same rows, the same ids."""
    ids = []
    for number, form in enumerate(("trace", "azure", "mooncake")):
        ledger = Ledger.create(tmp_path / f"ledger{number}")
        run_import(form, [write(tmp_path, AZURE, "code.csv")], ledger)
        ids.append(ledger.connect().execute("SELECT generation_id FROM rows ORDER BY ts").fetchall())
    assert ids[0] == ids[1] == ids[2] and len(ids[0]) == 2


def test_a_trace_without_dates_is_not_given_any(ledger: Ledger, tmp_path: Path) -> None:
    """Mooncake counts milliseconds from a start it does not name: placed in 1970, and said."""
    report = run_import("trace", [write(tmp_path, MOONCAKE, "kimi.jsonl")], ledger)
    assert ledger.connect().execute("SELECT ts FROM rows ORDER BY ts").fetchall() == [(0,), (27_000,)]
    told = " ".join(report.lines())
    assert "unnamed start" in told
    assert "'hash_ids' was not mapped" in told


def test_a_trace_again_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    file = write(tmp_path, AZURE, "code.csv")
    assert run_import("trace", [file, file], ledger).added == 2
    before = ledger.entries()
    again = run_import("trace", [file], ledger)
    assert (again.added, again.known, ledger.entries()) == (0, 2, before)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (AZURE + "yesterday,1,1\n", "line 4: the timestamp is 'yesterday'"),
        (AZURE + "2023-11-16 18:17:05,1.5,1\n", "line 4: input is 1.5, not a whole number"),
        (AZURE.replace("GeneratedTokens", "Answer"), "line 1: no column for the output"),
        (MOONCAKE + '{"timestamp": 1}\n', "line 4: no column for the input"),
        (MOONCAKE + "{]\n", "line 4: not JSON"),
        ("", "line 1: the file is empty"),
    ],
)
def test_a_bad_trace_leaves_nothing(text: str, seen: str, ledger: Ledger, tmp_path: Path) -> None:
    """The good file beside the bad one is not kept either: an import is one act."""
    good = write(tmp_path, AZURE, "good.csv")
    with pytest.raises(LedgerError, match=seen):
        run_import("trace", [good, write(tmp_path, text, "bad.txt")], ledger)
    assert ledger.entries() == []


def test_unknown_formats_and_missing_files_are_named(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"there are openrouter-daily, .*, trace"):
        run_import("excel", [write(tmp_path, AZURE)], ledger)
    with pytest.raises(LedgerError, match="there is no such file"):
        run_import("trace", [tmp_path / "absent.csv"], ledger)


def test_the_public_file_comes_in_whole(ledger: Ledger, shared_data: Path) -> None:
    """43,477 rows, 400 with reasoning above completion, 9 without tokens: all kept, both told."""
    file = shared_data / "openrouter" / "model_daily_usage.csv"
    report = run_import("openrouter-daily", [file], ledger)
    assert report.added == 43_477
    assert "reasoning exceeds completion in the source; kept as published (400 records)" in report.notes
    assert "no tokens at all; kept (9 records)" in report.notes


@pytest.mark.parametrize("cell", ["1e999999", "1_000", "１２", "1,234", "nan", "inf", "-1", "0x10"])
def test_what_is_no_plain_number_is_refused(ledger: Ledger, tmp_path: Path, cell: str) -> None:
    """Python reads `1_000` and full-width digits as numbers; a spreadsheet's author did not write them as such."""
    file = write(tmp_path, HEADER + f'2026-03-23,a/x,"{cell}",0,0,1\n')
    with pytest.raises(LedgerError, match="line 2"):
        run_import("openrouter-daily", [file], ledger)
    assert not ledger.entries()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'"Date,Model', "not CSV"),
        (HEADER.encode("utf-16"), "UTF-16"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b'[{"date": "2026-01-05", "total_tokens": ' + b"9" * 5000 + b"}]", "not JSON that can be read"),
    ],
    ids=["open quote in the header", "UTF-16", "gzip", "a number of 5,000 digits"],
)
def test_what_is_no_table_is_one_clear_error(ledger: Ledger, tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "usage.csv"
    file.write_bytes(content)
    with pytest.raises(LedgerError, match=told):
        run_import("openrouter-daily", [file], ledger)


def test_a_folder_is_named_as_one(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is a folder"):
        run_import("trace", [tmp_path], ledger)


def test_a_trace_that_has_grown_is_not_counted_twice(ledger: Ledger, tmp_path: Path) -> None:
    """Yesterday's lines stand in today's file again: under one source they would be two calls each."""
    text = "timestamp,input,output\n2026-03-23 10:00:00,5,7\n2026-03-23 10:00:00,5,7\n"
    run_import("trace", [write(tmp_path, text, "calls.csv")], ledger)
    grown = write(tmp_path, text + "2026-03-24 10:00:00,1,1\n", "calls.csv")
    with pytest.raises(LedgerError, match="2 of its calls are in the ledger already"):
        run_import("trace", [grown], ledger)
    run_import("trace", [write(tmp_path, text, "calls.csv")], ledger)
    assert sum(file.rows for entry in ledger.entries() for file in entry.files) == 2


def test_two_imports_at_once_add_each_record_once(ledger: Ledger, tmp_path: Path) -> None:
    """What is known is looked up before the rest is added: a second process in between would add it twice."""
    files = [
        write(tmp_path, HEADER + "".join(f"2026-03-{day:02d},a/x,1,0,0,1\n" for day in days), f"{name}.csv")
        for name, days in (("one", range(1, 20)), ("two", range(10, 29)))
    ]
    script = "import sys; from tidegate.cli import main; sys.argv[0] = 'tidegate'; main()"
    command = [sys.executable, "-c", script, "ledger", "import", "openrouter-daily"]
    running = [subprocess.Popen([*command, str(file), "--into", str(ledger.path)]) for file in files]
    assert [process.wait(60) for process in running] == [0, 0]
    assert len(held(ledger)) == len(set(held(ledger))) == 28


def test_a_trace_before_1970_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    file = write(tmp_path, "timestamp,input,output\n1969-12-31 23:59:59,5,7\n", "calls.csv")
    with pytest.raises(LedgerError, match=r"line 2: .* before 1970"):
        run_import("trace", [file], ledger)
