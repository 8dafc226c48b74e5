"""Whatever a log holds: each record is added, known, rejected or no call; none disappears, none stops the others."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports import Options, run_import
from tidegate.ledger.store import Ledger
from tidegate.ledger.verify import verify

CALL_FORMATS = ("litellm", "langfuse", "helicone", "one-api", "openrouter-generations", "tidegate", "table")
NAMES = (
    *("id", "request_id", "generation_id", "created_at", "startTime", "endTime", "request_created_at", "ts"),
    *("model", "model_name", "type", "prompt_tokens", "completion_tokens", "tokens_prompt", "native_tokens_prompt"),
    *("usage_input_tokens", "prompt_cache_read_tokens", "spend", "cost", "quota", "usage", "metadata", "other"),
    *("usageDetails", "costDetails", "latency", "delay_ms", "status", "response_status", "data", "is_stream", "level"),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        (
            "",
            "2026-03-23T10:00:00Z",
            "2026-03-23 10:00:00+08:00",
            "1774260000",
            "12",
            "-3",
            "1e400",
            "openai/gpt-4o:free",
        )
    )
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=12), min_size=1, max_size=5)
TIME = "2026-03-23T10:00:00Z"
GOOD = {
    **dict.fromkeys(("created_at", "startTime", "request_created_at", "ts"), TIME),
    "id": "a",
    "model": "openai/gpt-4o",
    "prompt_tokens": 5,
    "native_tokens_prompt": 5,
    "usage_input_tokens": 5,
    "generation_id": "019d1a2b-5b6c-7001-8f2a-0400a1b2c3d4",
}
MAPPING = "columns: {ts: ts, usage_input_tokens: prompt_tokens, response_model: model}\nidentity: id\n"


def imported(form: str, text: str, folder: Path) -> tuple[Any, Ledger]:
    (folder / "m.yml").write_text(MAPPING, "utf-8")
    file = folder / "log.jsonl"
    file.write_text(text, "utf-8")
    ledger = Ledger.create(folder / "ledger")
    return run_import(form, [file], ledger, options=Options(mapping=folder / "m.yml")), ledger


@pytest.mark.parametrize("form", CALL_FORMATS)
@settings(max_examples=12, deadline=None)
@given(records=RECORDS)
def test_every_record_is_accounted_for(form: str, records: list[dict[str, Any]]) -> None:
    """The first record is good in every format, the others are it with anything in the place of its members."""
    text = "".join(json.dumps({**GOOD, **changes}) + "\n" for changes in ({}, *records))
    with tempfile.TemporaryDirectory() as folder:
        report, ledger = imported(form, text, Path(folder))
        rejected = sum(item.count for item in report.rejected)
        assert report.read == len(records) + 1 and report.added >= 1
        assert report.read == report.added + report.known + rejected + report.skipped
        assert sum(file.rows for entry in ledger.entries() for file in entry.files) == report.added
        assert not verify(ledger).findings


@pytest.mark.parametrize("form", CALL_FORMATS)
@settings(max_examples=10, deadline=None)
@given(text=st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_text_is_more_than_one_clear_error(form: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            imported(form, text, Path(folder))
        except LedgerError as error:
            assert str(error)
