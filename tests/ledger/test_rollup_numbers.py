"""Each rollup against a plain loop over the rows: the SQL may not decide what a measure means, its header does."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import count

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.core.ids import generation_id
from tidegate.core.row import Row, TaskTag
from tidegate.ledger.rollup import attach, load_rollup, rollup_names
from tidegate.ledger.store import Ledger

START_US = int(dt.datetime(2023, 12, 20, tzinfo=dt.UTC).timestamp()) * 1_000_000
HALF_DAY_US = 43_200_000_000
RATES = {"p1": (3_000_000_000, 15_000_000_000)}  # 3 and 15 USD a million, in nano-USD
KNOWN_FINISH = {"tool_calls", "stop", "length", "content_filter", "error"}
_serial = count()
Line = tuple[tuple[object, ...], dict[str, int | None]]
"""A key, and what one call adds to it."""


def call(half_days: int, **values: object) -> Row:
    ts = START_US + half_days * HALF_DAY_US
    return Row(generation_id=generation_id(ts // 1000, 0, 0, 0, next(_serial)), ts=ts, **values)


small = st.none() | st.integers(0, 20) | st.integers(120, 2100)
tags = st.lists(
    st.builds(TaskTag, path=st.sampled_from(["/a", "/a/b", "/c", "/d"]), confidence_ppm=st.integers(480_000, 520_000)),
    max_size=5,
)
calls = st.builds(
    call,
    half_days=st.integers(0, 40),
    source_id=st.sampled_from(["own", "other"]),
    tenant_id=st.sampled_from([None, "t1", "t2"]),
    project_id=st.sampled_from([None, "p1", "p2"]),
    key_id=st.sampled_from([None, "k1"]),
    endpoint_id=st.sampled_from([None, "a/x@p"]),
    user_hash=st.sampled_from([None, "u1"]),
    app=st.sampled_from([None, "app"]),
    billing_country=st.sampled_from([None, "DE", "CN"]),
    ip_country=st.sampled_from([None, "US"]),
    response_model=st.sampled_from([None, "a/x", "b/y"]),
    model_variant=st.sampled_from([None, "", "free"]),
    provider_name=st.sampled_from([None, "p"]),
    is_byok=st.sampled_from([None, False, True]),
    is_cancelled=st.sampled_from([None, True]),
    is_cached=st.sampled_from([None, False, True]),
    status_code=st.sampled_from([None, 200, 429]),
    finish_reason=st.sampled_from([None, "stop", "tool_calls", "eos"]),
    error_type=st.sampled_from([None, None, "upstream_error"]),
    tool_calls=st.none() | st.integers(0, 4),
    images=st.none() | st.integers(0, 2),
    usage_input_tokens=small,
    usage_output_tokens=small,
    usage_cache_read_input_tokens=small,
    usage_reasoning_output_tokens=small,
    cost_nano_usd=small,
    upstream_cost_nano_usd=small,
    price_id=st.sampled_from([None, "p1", "p2"]),
    duration_us=small,
    time_to_first_chunk_us=small,
    language=st.sampled_from([None, "en", "zh-Hans"]),
    task_tags=st.none() | tags,
    tag_sample_weight=st.sampled_from([None, 1, 3, 400, 0, -2]),
)


def day_of(row: Row) -> dt.date:
    return dt.datetime.fromtimestamp(row.ts // 1_000_000, dt.UTC).date()


def monday(row: Row) -> dt.date:
    return day_of(row) - dt.timedelta(days=day_of(row).weekday())


def total(row: Row) -> int | None:
    if row.usage_input_tokens is None or row.usage_output_tokens is None:
        return None
    return row.usage_input_tokens + row.usage_output_tokens


def weight(row: Row) -> int:
    return row.tag_sample_weight if row.tag_sample_weight and row.tag_sample_weight > 0 else 1


def finish_class(row: Row) -> str | None:
    if row.finish_reason in KNOWN_FINISH:
        return row.finish_reason
    if row.error_type is not None or (row.status_code or 0) >= 400:
        return "error"
    return None if row.finish_reason is None else "other"


def usage(row: Row, times: int = 1) -> dict[str, int | None]:
    """The measures that most rollups share, of a call that counts so often."""
    values = {
        "calls": 1,
        "usage_input_tokens": row.usage_input_tokens,
        "usage_output_tokens": row.usage_output_tokens,
        "total_tokens": total(row),
        "cost_nano_usd": row.cost_nano_usd,
    }
    return {name: None if value is None else value * times for name, value in values.items()}


def strong_paths(row: Row) -> list[str]:
    """Labels of at least one half, surest first, equal ones by name, each path once."""
    best: dict[str, int] = {}
    for tag in row.task_tags or []:
        if tag.confidence_ppm >= 500_000:
            best[tag.path] = max(best.get(tag.path, 0), tag.confidence_ppm)
    return sorted(best, key=lambda path: (-best[path], path))


def parts(value: int | None, among: int) -> list[int | None]:
    """Whole parts of a value, as equal as can be, the larger ones first."""
    if value is None:
        return [None] * among
    return [value // among + (1 if place < value % among else 0) for place in range(among)]


def bucket(length: int) -> int:
    drop = max(0, length.bit_length() - 7)
    return length >> drop << drop


def daily_usage(row: Row) -> Iterator[Line]:
    listed = None
    if row.price_id in RATES and total(row) is not None:
        rate_in, rate_out = RATES[row.price_id]
        exact = Fraction(row.usage_input_tokens * rate_in + row.usage_output_tokens * rate_out, 1_000_000)
        listed = int(exact + Fraction(1, 2))
    measures = usage(row) | {
        "unmetered_calls": int(total(row) is None),
        "usage_cache_read_input_tokens": row.usage_cache_read_input_tokens,
        "usage_cache_creation_input_tokens": None,
        "usage_reasoning_output_tokens": row.usage_reasoning_output_tokens,
        "images": row.images,
        "tool_calls": row.tool_calls,
        "upstream_cost_nano_usd": row.upstream_cost_nano_usd,
        "list_cost_nano_usd": listed,
        "duration_us": row.duration_us,
    }
    key = (row.response_model, row.model_variant, row.provider_name, row.is_byok, finish_class(row), row.is_cancelled)
    yield (row.source_id, day_of(row), *key), measures


def daily_country(row: Row) -> Iterator[Line]:
    key = (row.billing_country, row.ip_country, row.response_model, row.model_variant, row.is_byok)
    yield (row.source_id, day_of(row), *key), usage(row)


def daily_language(row: Row) -> Iterator[Line]:
    times = 1 if row.language is None else weight(row)
    key = (row.source_id, day_of(row), row.language, row.response_model, row.model_variant, row.is_byok)
    yield key, usage(row, times) | {"sampled_calls": 1}


def daily_app(row: Row) -> Iterator[Line]:
    yield (row.source_id, day_of(row), row.app, row.response_model, row.model_variant), usage(row)


def daily_key(row: Row) -> Iterator[Line]:
    who = (row.tenant_id, row.project_id, row.key_id)
    measures = usage(row) | {
        "usage_cache_read_input_tokens": row.usage_cache_read_input_tokens,
        "usage_reasoning_output_tokens": row.usage_reasoning_output_tokens,
        "upstream_cost_nano_usd": row.upstream_cost_nano_usd,
    }
    yield (
        (row.source_id, day_of(row), *who, row.response_model, row.provider_name, row.endpoint_id, row.is_byok),
        measures,
    )


def daily_tags(row: Row) -> Iterator[Line]:
    if row.task_tags is None:
        return
    paths = strong_paths(row)
    whole = usage(row, weight(row))
    whole["tool_calls"] = None if row.tool_calls is None else row.tool_calls * weight(row)
    shared = {name: parts(value, len(paths)) for name, value in whole.items() if paths}
    for place, path in enumerate(paths):
        split = {name: values[place] for name, values in shared.items()}
        known = split["usage_input_tokens"] is not None and split["usage_output_tokens"] is not None
        split["total_tokens"] = split["usage_input_tokens"] + split["usage_output_tokens"] if known else None
        yield tag_line(row, "split", path, split)
        yield tag_line(row, "any", path, whole)
    if paths:
        yield tag_line(row, "top", paths[0], whole)
    yield tag_line(row, "base" if paths else "none", "", whole)


def tag_line(row: Row, rule: str, path: str, measures: dict[str, int | None]) -> Line:
    key = (row.source_id, day_of(row), row.response_model, row.model_variant, row.is_byok, rule, path)
    return key, measures | {"sampled_calls": 1}


def length_histogram(row: Row) -> Iterator[Line]:
    if row.is_cached:
        return
    lengths = {"input": row.usage_input_tokens, "output": row.usage_output_tokens, "total": total(row)}
    for path, times in [("", 1), *((path, weight(row)) for path in strong_paths(row)[:1])]:
        for length_of, length in lengths.items():
            if length is not None:
                key = (row.source_id, monday(row), row.response_model, path, length_of, bucket(length))
                yield key, {"calls": times, "tokens": times * length}


def latency_histogram(row: Row) -> Iterator[Line]:
    if row.is_cached:
        return
    for latency_of, time in (("first_chunk", row.time_to_first_chunk_us), ("duration", row.duration_us)):
        if time is not None:
            key = (row.source_id, day_of(row), row.response_model, row.provider_name, latency_of, bucket(time))
            yield key, {"calls": 1, "latency_us": time}


def weekly_account(row: Row) -> Iterator[Line]:
    key = (row.tenant_id, row.response_model, row.model_variant, row.is_byok, finish_class(row))
    yield (row.source_id, monday(row), *key), usage(row)


def active_months(row: Row) -> Iterator[Line]:
    if row.response_model is None or row.error_type is not None or (row.status_code or 0) >= 400:
        return
    block, bit = divmod((day_of(row).year - 2020) * 12 + day_of(row).month - 1, 48)
    for unit_of, unit in (("tenant", row.tenant_id), ("user", row.user_hash)):
        if unit is not None:
            yield (row.source_id, unit_of, unit, row.response_model, block), {"months_mask": 1 << bit}


LOOPS: dict[str, Callable[[Row], Iterator[Line]]] = {
    loop.__name__: loop
    for loop in (
        daily_usage,
        daily_country,
        daily_language,
        daily_app,
        daily_key,
        daily_tags,
        length_histogram,
        latency_histogram,
        weekly_account,
        active_months,
    )
}


def looped(name: str, rows: Sequence[Row]) -> dict[tuple[object, ...], dict[str, int | None]]:
    found: dict[tuple[object, ...], dict[str, int | None]] = {}
    for row in rows:
        for key, added in LOOPS[name](row):
            held = found.setdefault(key, dict.fromkeys(added))
            for measure, value in added.items():
                if value is not None and held[measure] is not None:
                    value = value | held[measure] if measure == "months_mask" else value + held[measure]
                held[measure] = held[measure] if value is None else value
    return found


def summed(name: str, ledger: Ledger) -> dict[tuple[object, ...], dict[str, int | None]]:
    rollup = load_rollup(name)
    with duckdb.connect() as connection:
        attach(ledger, connection, name, list_rates=RATES)
        rows = connection.execute(f"SELECT {', '.join(rollup.columns)} FROM {name}").fetchall()
    width = len(rollup.key)
    return {
        row[:width]: {
            measure: None if value is None else int(value)
            for measure, value in zip(rollup.measures, row[width:], strict=True)
        }
        for row in rows
    }


def test_every_rollup_has_a_loop() -> None:
    assert sorted(LOOPS) == list(rollup_names())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(calls, min_size=1, max_size=25))
def test_a_rollup_is_what_a_loop_over_the_rows_gives(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> None:
    ledger = Ledger.create(tmp_path_factory.mktemp("ledger"))
    ledger.add_rows(rows, [], unit="rows", origin="test")
    for name in LOOPS:
        assert summed(name, ledger) == looped(name, rows), name


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(calls, min_size=1, max_size=25))
def test_the_parts_of_split_calls_add_up_to_the_calls(
    rows: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Shares by `split` are shares of the whole: no token is lost in dividing, none is counted twice."""
    ledger = Ledger.create(tmp_path_factory.mktemp("ledger"))
    ledger.add_rows(rows, [], unit="rows", origin="test")
    sums: dict[str, dict[str, int]] = {"split": {}, "base": {}, "top": {}}
    for key, measures in summed("daily_tags", ledger).items():
        if key[5] in sums:
            for measure, value in measures.items():
                sums[key[5]][measure] = sums[key[5]].get(measure, 0) + (value or 0)
    sums["split"].pop("sampled_calls", None)
    assert sums["base"] == sums["top"]
    assert sums["split"].items() <= sums["base"].items()
