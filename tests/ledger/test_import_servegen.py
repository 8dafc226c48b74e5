"""ServeGen: load by client as a series, sampled requests as rows."""

import datetime as dt
from pathlib import Path

import pytest
from import_samples import rows_of, series_of, told, write_text

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger

WINDOWS = (
    "workload,client_id,window_start_s,rate_rps,cv,pattern,param1,param2\n"
    "reason/r1,0,2400,0.085,6.69,Gamma,0.02,73.0\n"
    "reason/r1,0,3000,0.39,0.91,Gamma,1.19,2.07\n"
    "reason/r1,0,3600,0.5,1.0,Gamma,0.99,2.3\n"
)
PERIODS = (
    "workload,client_id,period_start_s,requests,mean_input_tokens,mean_text_tokens,mean_image_tokens,"
    "mean_output_tokens,mean_reason_ratio\n"
    "reason/r1,0,0,100,10.5,,,20,0.5\n"
    "reason/r1,0,21600,10,1,,,2,0.5\n"
    "reason/r1,1,0,7,,,,,\n"
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def test_windows_are_summed_to_hours(ledger: Ledger, tmp_path: Path) -> None:
    """0.085 and 0.39 calls a second for ten minutes each are 51 and 234 calls in the first hour; tokens are unknown."""
    run_import("servegen", [write_text(tmp_path, WINDOWS)], ledger)
    assert series_of(ledger, "source_id, kind, grain, starts, tenant_id, calls, total_tokens") == [
        ("servegen:reason/r1", "client", "hour", dt.datetime(1970, 1, 1, 0), "0", 285, None),
        ("servegen:reason/r1", "client", "hour", dt.datetime(1970, 1, 1, 1), "0", 300, None),
    ]


def test_periods_are_summed_to_days(ledger: Ledger, tmp_path: Path) -> None:
    """100 x 10.5 + 10 x 1 tokens in, 100 x 20 + 10 x 2 out, half of it reasoning; without means nothing is guessed."""
    report = run_import("servegen", [write_text(tmp_path, PERIODS)], ledger)
    columns = "tenant_id, calls, usage_input_tokens, usage_output_tokens, usage_reasoning_output_tokens, total_tokens"
    assert series_of(ledger, columns) == [
        ("0", 110, 1060, 2020, 1010, 3080),
        ("1", 7, None, None, None, None),
    ]
    assert "the mean lengths are not given: calls counted, tokens unknown" in told(report)


def test_a_negative_rate_refuses_the_file(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="line 2: the rate is '-1'"):
        run_import("servegen", [write_text(tmp_path, WINDOWS.replace("0.085", "-1"))], ledger)


def test_sampled_requests_are_rows_by_client(ledger: Ledger, tmp_path: Path) -> None:
    """Their times are seconds from an unnamed start; a client becomes the tenant."""
    text = "timestamp_s,client_id,input_tokens,output_tokens,reason_tokens,answer_tokens\n2.515,35,16,1921,621,1300\n"
    report = run_import("trace", [write_text(tmp_path, text, "sampled.csv")], ledger)
    columns = "ts, tenant_id, usage_input_tokens, usage_output_tokens, usage_reasoning_output_tokens"
    assert rows_of(ledger, columns) == [(2_515_000, "35", 16, 1921, 621)]
    assert "unnamed start" in told(report) and "names no user" not in told(report)


def test_the_public_traces_come_in(ledger: Ledger, shared_data: Path) -> None:
    folder = shared_data / "traces"
    assert run_import("servegen", [folder / "servegen_deepseek_r1_windows.csv"], ledger).read == 3111
    assert run_import("servegen", [folder / "servegen_deepseek_r1_client_6h.csv"], ledger).read == 156
    assert run_import("trace", [folder / "servegen_deepseek_r1_sampled_requests.csv"], ledger).added == 40_000
