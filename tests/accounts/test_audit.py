"""What `tidegate audit` finds: planted mistakes are named with their exact difference, right calls are left alone."""

import csv
import json
import runpy
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.accounts.audit import Audit, Finding, Options, audit
from tidegate.accounts.audit.prices import PriceBook
from tidegate.accounts.audit.sample import FILES, FOLDER, planted
from tidegate.catalog import load_catalog
from tidegate.core.errors import LedgerError

DAY = "2026-10-05"
SONNET = "claude-sonnet-4-5"  # USD a million: 3 in, 15 out, 0.3 read, 3.75 written, 6 written for an hour


def spend_log(number: int, model: str, provider: str, spend: float | str, **counts: int) -> dict[str, Any]:
    """One LiteLLM spend log. counts: input, output, read, written, hour, reasoning."""
    entered, left = counts.get("input", 0), counts.get("output", 0)
    usage = {
        "prompt_tokens": entered,
        "completion_tokens": left,
        "total_tokens": entered + left,
        "prompt_tokens_details": {
            "cached_tokens": counts.get("read", 0),
            "cache_creation_token_details": {"ephemeral_1h_input_tokens": counts.get("hour", 0)},
        },
        "completion_tokens_details": {"reasoning_tokens": counts.get("reasoning", 0)},
        "cache_creation_input_tokens": counts.get("written", 0),
    }
    return {
        "request_id": f"call-{number}",
        "call_type": "acompletion",
        "spend": spend,
        "prompt_tokens": entered,
        "completion_tokens": left,
        "total_tokens": entered + left,
        "startTime": f"{DAY}T10:{number % 60:02d}:00.{number:06d}Z",
        "endTime": f"{DAY}T10:{number % 60:02d}:02Z",
        "completionStartTime": f"{DAY}T10:{number % 60:02d}:01Z",
        "model": model,
        "custom_llm_provider": provider,
        "status": "success",
        "cache_hit": "False",
        "metadata": {"status": "success", "usage_object": usage},
    }


def new_api_log(number: int, model: str, quota: int, other: dict[str, Any] | None, **counts: int) -> dict[str, Any]:
    """One log of new-api; of one-api where `other` is None."""
    log: dict[str, Any] = {
        "id": number,
        "user_id": 3,
        "created_at": 1_791_194_400 + number,  # 2026-10-05
        "type": 2,
        "content": "",
        "username": "u",
        "token_name": "t",
        "model_name": model,
        "quota": quota,
        "prompt_tokens": counts["input"],
        "completion_tokens": counts["output"],
        "channel_id": 1,
    }
    return log if other is None else {**log, "use_time": 2, "is_stream": 0, "other": json.dumps(other)}


def ratios(model: float, completion: float, **more: Any) -> dict[str, Any]:
    return {"model_ratio": model, "completion_ratio": completion, "group_ratio": 1, "model_price": -1, **more}


def audited(tmp_path: Path, records: list[dict[str, Any]], **options: Any) -> Audit:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return audit([file], Options(**options))


def only(found: Audit) -> Finding:
    assert len(found.findings) == 1, [finding.causes for finding in found.findings]
    return found.findings[0]


@pytest.mark.parametrize("name", FILES)
def test_the_composed_sample_gives_up_exactly_what_was_planted(name: str) -> None:
    """The composer works out its amounts in floats and knows nothing of the audit's arithmetic."""
    found = audit([FOLDER / name])
    assert {finding.call.call_id: finding.causes for finding in found.findings} == {
        call: (cause,) for call, cause in planted(name).items()
    }


CASES = {  # cause -> (model, provider, charged USD, right USD, counts), all worked out by hand
    "cached_full_rate": ("gpt-4o", "openai", 0.0300, 0.0200, {"input": 10_000, "output": 500, "read": 8_000}),
    "cached_twice": ("gemini-2.5-pro", "gemini", 0.0185, 0.0085, {"input": 10_000, "output": 500, "read": 8_000}),
    "cached_free": ("gpt-4o", "openai", 0.0100, 0.0200, {"input": 10_000, "output": 500, "read": 8_000}),
    "reasoning_dropped": ("gpt-5", "openai", 0.00225, 0.00625, {"input": 1_000, "output": 500, "reasoning": 400}),
    "reasoning_twice": ("gpt-5", "openai", 0.01025, 0.00625, {"input": 1_000, "output": 500, "reasoning": 400}),
    "only_reasoning": ("gpt-5", "openai", 0.00525, 0.00625, {"input": 1_000, "output": 500, "reasoning": 400}),
    "cache_write_full_rate": (SONNET, "anthropic", 0.0375, 0.0405, {"input": 10_000, "output": 500, "written": 4_000}),
    "cache_write_free": (SONNET, "anthropic", 0.0255, 0.0405, {"input": 10_000, "output": 500, "written": 4_000}),
    "cache_write_1h_as_5m": (
        *(SONNET, "anthropic", 0.0405, 0.0495),
        {"input": 10_000, "output": 500, "written": 4_000, "hour": 4_000},
    ),
    "cache_full_rate": (
        *(SONNET, "anthropic", 0.0375, 0.02625),
        {"input": 10_000, "output": 500, "read": 5_000, "written": 3_000},
    ),
    "long_rate_missed": (SONNET, "anthropic", 0.9075, 1.81125, {"input": 300_000, "output": 500}),
    "price_out_of_date": ("gpt-5.6-terra", "openai", 0.0325, 0.0260, {"input": 10_000, "output": 500}),
    "output_free": ("gpt-4o", "openai", 0.0250, 0.0300, {"input": 10_000, "output": 500}),
    "free_by_mistake": ("gpt-4o", "openai", 0, 0.0300, {"input": 10_000, "output": 500}),
}


@pytest.mark.parametrize("cause", CASES)
def test_a_mistake_is_named_with_its_exact_difference(tmp_path: Path, cause: str) -> None:
    model, provider, charged, right, counts = CASES[cause]
    finding = only(audited(tmp_path, [spend_log(1, model, provider, charged, **counts)]))
    assert finding.causes == (cause,)
    assert finding.certainty == "likely"
    assert finding.should_nano_usd == round(right * 10**9)
    assert finding.over_nano_usd == round(charged * 10**9) - round(right * 10**9)


@pytest.mark.parametrize(("model", "provider", "charged", "right", "counts"), CASES.values(), ids=CASES)
def test_a_right_charge_is_left_alone(
    tmp_path: Path, model: str, provider: str, charged: float, right: float, counts: dict[str, int]
) -> None:
    found = audited(tmp_path, [spend_log(1, model, provider, right, **counts)])
    assert not found.findings
    assert found.sums.right == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(200, 180_000), st.integers(2, 9_000), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
        min_size=1,
        max_size=6,
    )
)
def test_no_right_charge_is_ever_called_wrong(
    tmp_path: Path, calls: list[tuple[int, int, float, float, float]]
) -> None:
    """Whatever was cached, written or thought."""
    records = []
    for number, (entered, left, read_share, write_share, hour_share) in enumerate(calls):
        read = int(entered * read_share)
        written = int((entered - read) * write_share)
        hour = int(written * hour_share)
        nano = (entered - read - written) * 3000 + read * 300 + (written - hour) * 3750 + hour * 6000 + left * 15_000
        counts = {"input": entered, "output": left, "read": read, "written": written, "hour": hour}
        records.append(spend_log(number, SONNET, "anthropic", f"{nano / 1e9:.9f}", **counts))
    assert not audited(tmp_path, records).findings


def test_what_the_log_does_not_record_is_not_guessed(tmp_path: Path) -> None:
    """A stream that stopped: a placeholder of one token, or no row of counts at all."""
    cut = spend_log(1, "gpt-4o", "openai", 0.00251, input=1_000, output=1)
    cut["endTime"] = f"{DAY}T10:01:31Z"
    lost = spend_log(2, "gpt-4o", "openai", 0)
    found = audited(tmp_path, [cut, lost])
    assert {finding.causes[0] for finding in found.findings} == {"disconnect_partial", "no_usage"}
    assert all(finding.certainty == "unknowable" and finding.should_nano_usd is None for finding in found.findings)
    assert found.over_nano_usd == found.under_nano_usd == 0
    assert found.unknowable == 2


def test_cached_tokens_that_are_not_recorded_are_said_to_be_unknown(tmp_path: Path) -> None:
    """one-api has no column for them: its charge may be right, or up to nine tenths of the input too much."""
    log = new_api_log(1, "gpt-5", 8_750, None, input=10_000, output=500)  # 10,000 x 1.25 + 500 x 10 USD a million
    found = audited(tmp_path, [log])
    assert not found.findings
    assert found.sums.cache_unsaid == 1
    assert found.sums.cache_unsaid_nano_usd == 10_000 * 1125  # 1.25 - 0.125 USD a million tokens


def test_a_charge_that_some_unrecorded_cached_tokens_explain_is_not_called_wrong(tmp_path: Path) -> None:
    """Spend logs without metadata: 4,096 of 10,000 tokens cached at gpt-4o is 0.02488."""
    record = spend_log(1, "gpt-4o", "openai", 0.02488, input=10_000, output=500)
    record["metadata"] = {}
    assert not audited(tmp_path, [record]).findings


def test_the_ratios_that_new_api_records_make_a_finding_certain(tmp_path: Path) -> None:
    """cache_ratio 1: cached tokens at the full rate, told by the log itself. 3,000 units x 0.625 + ..."""
    other = ratios(0.625, 8, cache_tokens=8_000, cache_ratio=1)
    finding = only(audited(tmp_path, [new_api_log(1, "gpt-5", 8_750, other, input=10_000, output=500)]))
    assert (finding.causes, finding.certainty) == (("cached_full_rate",), "certain")
    assert finding.over_nano_usd == 8_000 * 1125


def test_arithmetic_that_contradicts_the_logs_own_ratios_is_certain(tmp_path: Path) -> None:
    """The cached tokens were charged at 0.1, and once more at 1 with all the input: 10,000 + 800 + 4,000 units."""
    other = ratios(0.625, 8, cache_tokens=8_000, cache_ratio=0.1)
    finding = only(audited(tmp_path, [new_api_log(1, "a-model-nobody-knows", 9_250, other, input=10_000, output=500)]))
    assert (finding.causes, finding.certainty) == (("cached_twice",), "certain")
    assert finding.over_nano_usd == 5_000 * 2_000


def test_a_group_ratio_is_a_margin_and_no_mistake(tmp_path: Path) -> None:
    other = ratios(0.625, 8, cache_tokens=8_000, cache_ratio=0.1) | {"group_ratio": 1.5}
    assert not audited(tmp_path, [new_api_log(1, "gpt-5", 6_375, other, input=10_000, output=500)]).findings


def test_claude_in_new_api_leaves_cached_tokens_out_of_the_input(tmp_path: Path) -> None:
    """2,000 fresh + 5,000 x 0.1 + 3,000 x 1.25 + 500 x 5 = 8,750 units x 1.5."""
    more = {"claude": True, "cache_tokens": 5_000, "cache_ratio": 0.1, "cache_creation_tokens": 3_000}
    other = ratios(1.5, 5, **more, cache_creation_ratio=1.25)
    assert not audited(tmp_path, [new_api_log(1, SONNET, 13_125, other, input=2_000, output=500)]).findings


def test_a_margin_on_all_calls_of_a_model_is_told_apart(tmp_path: Path) -> None:
    """20 % on top of gpt-4o; one of them has its cached tokens at the full rate beside."""
    mixes = [(10_000, 100), (5_000, 900), (800, 2_000), (12_000, 4_000), (300, 30)]
    records = [
        spend_log(n, "gpt-4o", "openai", (i * 2.5 + o * 10) * 1.2 / 1e6, input=i, output=o)
        for n, (i, o) in enumerate(mixes)
    ]
    records.append(spend_log(9, "gpt-4o", "openai", 0.03 * 1.2, input=10_000, output=500, read=8_000))
    found = audited(tmp_path, records)
    assert sorted(finding.causes[0] for finding in found.findings) == ["cached_full_rate"] + ["margin"] * 5
    assert found.over_nano_usd == 12_000_000  # 8,000 x 1.25 USD a million x 1.2
    assert found.wrong == 1


def test_other_rates_throughout_are_worked_out_from_the_calls(tmp_path: Path) -> None:
    """gpt-4o at 3 and 9 USD a million: neither a margin nor a price that it ever had."""
    mixes = [(10_000, 100), (5_000, 900), (800, 2_000), (12_000, 4_000)]
    records = [
        spend_log(n, "gpt-4o", "openai", (i * 3 + o * 9) / 1e6, input=i, output=o) for n, (i, o) in enumerate(mixes)
    ]
    found = audited(tmp_path, records)
    assert {finding.causes for finding in found.findings} == {("other_price",)}
    assert "$3.00 and $9.00 a million" in found.findings[0].why


def test_the_same_record_in_two_files_counts_once_and_a_second_charge_is_found(tmp_path: Path) -> None:
    one = spend_log(1, "gpt-4o", "openai", 0.03, input=10_000, output=500)
    again = spend_log(2, "gpt-4o", "openai", 0.03, input=10_000, output=500) | {"request_id": "call-1"}
    for name, records in (("a.jsonl", [one]), ("b.jsonl", [one, again])):
        (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    found = audit([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert found.sums.calls == 2
    assert only(found).causes == ("charged_twice",)
    assert found.over_nano_usd == 30_000_000


def test_the_gateways_own_cache_and_failed_calls_cost_nothing(tmp_path: Path) -> None:
    hit = spend_log(1, "gpt-4o", "openai", 0.03, input=10_000, output=500) | {"cache_hit": "True"}
    failed = spend_log(2, "gpt-4o", "openai", 0.025, input=10_000) | {"status": "failure"}
    found = audited(tmp_path, [hit, failed])
    assert {finding.causes[0]: finding.over_nano_usd for finding in found.findings} == {
        "own_cache_charged": 30_000_000,
        "failure_charged": 25_000_000,
    }


def as_sqlite(folder: Path, records: list[dict[str, Any]]) -> Path:
    file = folder / "one-api.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"CREATE TABLE logs ({', '.join(records[0])})")
        marks = ", ".join("?" for _ in records[0])
        database.executemany(f"INSERT INTO logs VALUES ({marks})", [tuple(record.values()) for record in records])
    return file


def as_sqlite_dump(folder: Path, records: list[dict[str, Any]]) -> Path:
    file = folder / "dump.sql"
    with closing(sqlite3.connect(as_sqlite(folder, records))) as database:
        file.write_text("\n".join(database.iterdump()), "utf-8")
    return file


def as_mysqldump(folder: Path, records: list[dict[str, Any]]) -> Path:
    def cell(value: Any) -> str:
        escaped = str(value).replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
        return str(value) if isinstance(value, int) else f"'{escaped}'"

    columns = ",\n".join(f"  `{name}` longtext" for name in records[0])
    rows = ",".join(f"({','.join(cell(value) for value in record.values())})" for record in records)
    file = folder / "mysql.sql"
    file.write_text(
        f"-- MySQL dump 10.13\nCREATE TABLE `logs` (\n{columns},\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB;\n"
        f"INSERT INTO `logs` VALUES {rows};\n"
    )
    return file


def as_pg_dump(folder: Path, records: list[dict[str, Any]]) -> Path:
    rows = "\n".join("\t".join(str(value).replace("\\", "\\\\") for value in record.values()) for record in records)
    names = ", ".join(f'"{name}"' if name == "group" else name for name in records[0])
    file = folder / "pg.sql"
    file.write_text(f"--\n-- PostgreSQL database dump\n--\n\nCOPY public.logs ({names}) FROM stdin;\n{rows}\n\\.\n")
    return file


def as_csv(folder: Path, records: list[dict[str, Any]]) -> Path:
    file = folder / "logs.csv"
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    return file


def as_api_reply(folder: Path, records: list[dict[str, Any]]) -> Path:
    file = folder / "reply.json"
    file.write_text(json.dumps({"success": True, "data": {"page": 1, "items": records}}))
    return file


@pytest.mark.parametrize("written", [as_sqlite, as_sqlite_dump, as_mysqldump, as_pg_dump, as_csv, as_api_reply])
def test_one_log_is_read_alike_from_every_container(tmp_path: Path, written: Any) -> None:
    """With quotes, commas, brackets and the other alphabet in a text, as real contents have."""
    other = ratios(0.625, 8, cache_tokens=8_000, cache_ratio=1)
    records = [
        new_api_log(1, "gpt-5", 8_750, other, input=10_000, output=500)
        | {"content": 'it\'s (a) "test", 模型倍率; done'},
        new_api_log(2, "gpt-5", 8_750, other, input=10_000, output=500) | {"content": "back\\slash"},
        new_api_log(3, "gpt-5", 500_000, None, input=0, output=0)
        | {"type": 1, "use_time": 0, "is_stream": 0, "other": ""},
    ]
    found = audit([written(tmp_path, records)])
    assert [finding.causes for finding in found.findings] == [("cached_full_rate",)] * 2
    assert found.sums.calls == 2  # the top-up is no call
    assert found.over_nano_usd == 2 * 8_000 * 1125


def test_openrouters_sums_of_a_day_are_held_against_both_bounds(tmp_path: Path) -> None:
    """A day's tokens say nothing of the cache: only what no share of cached tokens explains is a finding."""
    day = {"date": DAY, "model": "openai/gpt-5", "model_permaslug": "openai/gpt-5", "provider_name": "OpenAI"}
    counts = {"requests": 12, "prompt_tokens": 1_000_000, "completion_tokens": 100_000, "reasoning_tokens": 50_000}
    rows = [
        {**day, **counts, "usage": 2.25, "byok_usage_inference": 0},  # nothing cached
        {**day, **counts, "usage": 1.5, "byok_usage_inference": 0, "date": "2026-10-06"},  # some cached
        {**day, **counts, "usage": 3.0, "byok_usage_inference": 0, "date": "2026-10-07"},
    ]
    file = tmp_path / "activity.json"
    file.write_text(json.dumps({"data": rows}))
    finding = only(audit([file]))
    assert (finding.causes, finding.call.day) == (("sum_above",), "2026-10-07")
    assert finding.over_nano_usd == 750_000_000


def test_a_table_that_is_no_log_is_refused_with_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("name,age\nann,3\n")
    with pytest.raises(LedgerError, match=r"its columns are age, name.*--as litellm"):
        audit([file])


def test_a_negative_charge_is_a_finding_and_no_unreadable_record(tmp_path: Path) -> None:
    finding = only(audited(tmp_path, [spend_log(1, "gpt-4o", "openai", -0.5, input=10, output=5)]))
    assert (finding.causes, finding.call.charged_nano_usd) == (("negative",), -500_000_000)


def test_clouds_names_of_a_model_are_held_against_its_maker_and_say_so(tmp_path: Path) -> None:
    """Bedrock's price is not in the catalog: one step less sure."""
    name = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    record = spend_log(1, name, "bedrock", 0.0375, input=10_000, output=500, read=5_000)
    finding = only(audited(tmp_path, [record]))
    assert (finding.causes, finding.certainty) == (("cached_full_rate",), "possible")
    assert "bedrock's price is not known" in finding.why


def test_exports_of_one_log_in_two_containers_overlap(tmp_path: Path) -> None:
    """The same calls as CSV and as JSON lines, where amounts are spelled otherwise."""
    records = [spend_log(n, "gpt-4o", "openai", 0.03, input=10_000, output=500) for n in range(3)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    flat = [{**record, "metadata": json.dumps(record["metadata"]), "spend": "0.030"} for record in records]
    found = audit([tmp_path / "a.jsonl", as_csv(tmp_path, flat)])
    assert (found.sums.calls, found.sums.right, found.findings) == (3, 3, ())


def test_calls_without_an_id_that_are_alike_are_all_counted(tmp_path: Path) -> None:
    """Two calls of one second; the second file holds them again, and one more."""
    log = new_api_log(1, "gpt-5", 8_750, None, input=10_000, output=500)
    for name, times in (("a.jsonl", 2), ("b.jsonl", 3)):
        (tmp_path / name).write_text((json.dumps(log) + "\n") * times)
    assert audit([tmp_path / "a.jsonl", tmp_path / "b.jsonl"]).sums.calls == 3


def test_an_old_call_at_a_price_of_no_known_beginning_is_less_sure(tmp_path: Path) -> None:
    """Another price may have held then, that the catalog does not know."""
    record = spend_log(1, "gpt-4o", "openai", 0.03, input=10_000, output=500, read=8_000)
    record["startTime"] = "2024-11-05T10:00:00.5Z"
    finding = only(audited(tmp_path, [record]))
    assert finding.certainty == "possible"
    assert "since when this price holds is not known" in finding.why


def test_a_deployments_own_name_is_priced_by_the_price_maps_key(tmp_path: Path) -> None:
    record = spend_log(1, "azure/our-eu-gpt", "azure", 0.03, input=10_000, output=500, read=8_000)
    record["metadata"]["model_map_information"] = {"model_map_key": "azure/gpt-4o", "model_map_value": {}}
    assert only(audited(tmp_path, [record])).causes == ("cached_full_rate",)


def test_litellms_sums_of_a_day_know_their_cached_tokens(tmp_path: Path) -> None:
    """LiteLLM_DailyUserSpend: many operators keep no other log."""
    day = {
        "date": DAY, "api_key": "k", "model": "gpt-4o", "custom_llm_provider": "openai", "prompt_tokens": 100_000,
        "completion_tokens": 5_000, "cache_read_input_tokens": 80_000, "cache_creation_input_tokens": 0,
        "api_requests": 10,
    }  # fmt: skip
    finding = only(audited(tmp_path, [{**day, "spend": 0.2}, {**day, "api_key": "j", "spend": 0.3}]))
    assert (finding.causes, finding.over_nano_usd) == (("cached_full_rate",), 100_000_000)


def test_a_flex_call_costs_half(tmp_path: Path) -> None:
    records = []
    for number, charged in enumerate((0.015, 0.03)):
        record = spend_log(number, "gpt-4o", "openai", charged, input=10_000, output=500)
        record["metadata"]["usage_object"]["service_tier"] = "flex"
        records.append(record)
    finding = only(audited(tmp_path, records))
    assert (finding.causes, finding.should_nano_usd) == (("half_price_missed",), 15_000_000)


def test_a_torn_last_line_is_said_and_the_rest_is_audited(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    whole = json.dumps(spend_log(1, "gpt-4o", "openai", 0.03, input=10_000, output=500))
    file.write_text(f"{whole}\n{whole[:200]}")
    found = audit([file])
    assert found.sums.right == 1
    assert any("the last line is torn" in note for note in found.notes)


def test_rows_as_public_new_api_logs_have_them_follow_their_own_ratios(tmp_path: Path) -> None:
    """Three rows seen in public documents: quota is rounded half up; a text states a price for the call."""
    first = {"cache_ratio": 0.1, "cache_tokens": 22_528, "completion_ratio": 6, "group_ratio": 1, "model_ratio": 1.25}
    second = {
        "cache_ratio": 0.28,
        "cache_tokens": 164_411,
        "completion_ratio": 4,
        "group_ratio": 0.4,
        "model_ratio": 0.75,
    }
    fixed = new_api_log(3, "gpt-5.6", 7_500, {"billing_type": "by_count", "group_ratio": 1}, input=1_000, output=0)
    found = audited(
        tmp_path,
        [
            new_api_log(1, "gpt-5.4", 88_239, first, input=89_324, output=257),
            new_api_log(2, "a-model-nobody-knows", 15_096, second, input=167_999, output=174),
            fixed | {"content": "Fixed model price 0.015, group ratio 1"},
        ],
    )
    assert not found.findings
    assert (found.sums.right, found.sums.unchecked) == (2, 1)


def test_input_and_output_at_one_factor_and_the_cache_at_another(tmp_path: Path) -> None:
    """gpt-5 at twice the list throughout but for cached tokens: 2,000 + 8,000 x 0.5 + 500 x 8 units x 1.25."""
    other = ratios(1.25, 8, cache_tokens=8_000, cache_ratio=0.5)
    finding = only(audited(tmp_path, [new_api_log(1, "gpt-5", 12_500, other, input=10_000, output=500)]))
    assert finding.causes == ("other_cache_rate",)
    assert finding.should_nano_usd == 2 * (2_000 * 1250 + 8_000 * 125 + 500 * 10_000)


PLANTED = ["twice", "full", "free", "write_free", "write_twice", "hour", "output_free"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(1_000, 150_000),
            st.integers(10, 9_000),
            st.integers(1, 99),
            st.integers(1, 99),
            st.sampled_from(PLANTED),
        ),
        min_size=4,
        max_size=12,
    )
)
def test_whatever_was_used_a_planted_mistake_is_never_left_unexplained(
    tmp_path: Path, calls: list[tuple[int, int, int, int, str]]
) -> None:
    """Amounts worked out here in nano-USD a token: 3,000 in, 300 read, 3,750 written, 15,000 out."""
    records, rights = [], {}
    for number, (entered, left, read_percent, write_percent, planted_one) in enumerate(calls):
        read = entered * read_percent // 100
        written = (entered - read) * write_percent // 100
        right = (entered - read - written) * 3000 + read * 300 + written * 3750 + left * 15_000
        more = {
            "twice": read * 3000,
            "full": read * 2700,
            "free": -read * 300,
            "write_free": -written * 3750,
            "write_twice": written * 3000,
            "hour": written * 2250,
            "output_free": -left * 15_000,
        }[planted_one]
        rights[f"call-{number}"] = (right, more)
        counts = {"input": entered, "output": left, "read": read, "written": written}
        records.append(spend_log(number, SONNET, "anthropic", f"{(right + more) / 1e9:.9f}", **counts))
    found = {finding.call.call_id: finding for finding in audited(tmp_path, records).findings}
    for call, (right, more) in rights.items():
        if more:
            assert found[call].causes != ("unexplained",)
            assert (found[call].should_nano_usd, found[call].over_nano_usd) == (right, more)


def test_openrouters_csv_by_day_is_read_by_its_own_header(tmp_path: Path) -> None:
    """As the Activity page exports sums: no endpoint, the model as `Slug`."""
    header = "Date,Slug,Usage,BYOK Usage,Requests,Prompt Tokens,Completion Tokens,Reasoning Tokens"
    file = tmp_path / "activity.csv"
    file.write_text(
        f'{header}\n"2026-10-05",openai/gpt-5,2.25,0,12,1000000,100000,0\n2026-10-06,openai/gpt-5,9,0,1,10,10,0\n'
    )
    finding = only(audit([file]))
    assert (finding.causes, finding.call.day) == (("sum_above",), "2026-10-06")


def test_the_sample_is_what_its_composer_writes(tmp_path: Path) -> None:
    """So that nobody mends a mistake in the sample by hand."""
    composer = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "compose_audit_sample.py"))
    composer["main"].__globals__["FOLDER"] = tmp_path
    composer["main"]()
    for name in (*FILES, "composed-truth.json"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_a_price_that_changed_the_day_before_or_after_makes_either_right(tmp_path: Path) -> None:
    """gpt-5.6-terra fell from 2.50 and 15 to 2 and 12 on 2026-07-30; nobody says at what hour, nor in which zone."""
    records = []
    for number, day in enumerate(("2026-07-29", "2026-07-30", "2026-08-02")):
        record = spend_log(number, "gpt-5.6-terra", "openai", 0.0325, input=10_000, output=500)
        records.append({**record, "startTime": f"{day}T10:00:00.{number}5Z"})
    finding = only(audited(tmp_path, records))
    assert (finding.causes, finding.call.day) == (("price_out_of_date",), "2026-08-02")


def test_openrouter_behind_litellm_may_charge_what_any_provider_does(tmp_path: Path) -> None:
    """Its price is that of whoever serves; the log names OpenRouter alone."""
    record = spend_log(1, "openrouter/moonshotai/kimi-k2-0905", "openrouter", 0.0, input=10_000, output=500)
    held = PriceBook(load_catalog()).held("openrouter", "moonshotai/kimi-k2-0905", DAY)
    assert held.also, "the catalog knows several who serve it"
    rates = held.also[0].rates
    record["spend"] = f"{(10_000 * rates.input + 500 * rates.output) / 1e15:.9f}"
    assert not audited(tmp_path, [record]).findings


def test_a_stream_without_any_output_cannot_be_right(tmp_path: Path) -> None:
    """As new-api logs a caller who left: the input charged, the output lost. An embedding is no stream."""
    other = ratios(0.625, 8, cache_tokens=0, cache_ratio=0.1)
    gone = new_api_log(1, "gpt-5", 6_250, other, input=10_000, output=0) | {"is_stream": 1, "use_time": 2}
    embedding = new_api_log(2, "text-embedding-3-small", 100, None, input=10_000, output=0)
    finding = only(audited(tmp_path, [gone, embedding]))
    assert (finding.causes, finding.certainty) == (("disconnect_partial",), "unknowable")


def test_the_responses_apis_details_are_read_by_their_own_names(tmp_path: Path) -> None:
    record = spend_log(1, "gpt-4o", "openai", 0.02, input=10_000, output=500)
    record["call_type"] = "aresponses"
    record["metadata"]["usage_object"] = None
    record["metadata"]["additional_usage_values"] = {
        "input_tokens_details": {"cached_tokens": 8_000},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    found = audited(tmp_path, [record, {**record, "request_id": "full", "spend": 0.03}])
    assert (only(found).call.call_id, only(found).causes) == ("full", ("cached_full_rate",))


def test_searches_that_the_log_does_not_count_are_no_mistake(tmp_path: Path) -> None:
    """OpenAI's web search is a cent a call: two of them on top of the tokens, and half a one."""
    records = [spend_log(n, "gpt-4o", "openai", usd, input=10_000, output=500) for n, usd in enumerate((0.05, 0.035))]
    finding = only(audited(tmp_path, records))
    assert (finding.call.call_id, finding.causes) == ("call-1", ("unexplained",))


def test_reasoning_that_is_counted_beside_the_output_is_a_part_of_it(tmp_path: Path) -> None:
    """xAI: 1,000 in, 100 out and 300 of reasoning, 1,400 in all; grok-4 is 3 and 15 USD a million."""
    record = spend_log(1, "grok-4", "xai", 0.009, input=1_000, output=100, reasoning=300)
    record["total_tokens"] = 1_400
    assert not audited(tmp_path, [record]).findings
    again = {**record, "spend": 0.0045}
    assert only(audited(tmp_path, [again])).causes == ("reasoning_dropped",)


def test_what_litellms_s3_logger_wrote_is_read_file_by_file(tmp_path: Path) -> None:
    """One object a call, `response_cost` in the place of `spend`, times as seconds."""
    for number in range(12):
        record = spend_log(number, "gpt-4o", "openai", 0, input=10_000, output=500, read=8_000)
        del record["spend"], record["request_id"]
        record |= {"id": f"chatcmpl-{number}", "response_cost": 0.03, "startTime": 1_791_194_400.25 + number}
        record |= {"endTime": 1_791_194_402.5 + number, "completionStartTime": 1_791_194_401.5 + number}
        (tmp_path / f"{number}.json").write_text(json.dumps(record, indent=1))
    found = audit(sorted(tmp_path.iterdir()))
    assert {finding.causes for finding in found.findings} == {("cached_full_rate",)}
    assert found.over_nano_usd == 12 * 10_000_000
    assert found.files[-1] == "and 4 more files"
