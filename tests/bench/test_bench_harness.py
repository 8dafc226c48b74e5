"""The harness voids a run that measured wrong answers; nothing here is timed."""

import json
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from harness.bodies import REPLY, request_body, stream_body
from harness.calls import checked_ledger
from harness.nginx import NginxProvider
from harness.process import Child, cpu_s, free_port, rss_mb, split_cpus, tree
from harness.profiling import stack_tables
from harness.record import BenchError, spread
from harness.sse_check import EVENTS, check_stream, read_events
from harness.sse_load import quantile_us
from harness.subjects import Running
from harness.tidegate_gateway import Counted
from harness.wrk import Load, checked, parse_load

HARNESS = Path(__file__).resolve().parents[2] / "bench" / "harness"


@pytest.mark.parametrize("size", [256, 1024, 64 * 1024, 256 * 1024])
def test_a_request_has_exactly_its_size_and_is_the_same_every_time(size):
    """A table says "1 kB"; its reader may rely on it, and runs of different days compare."""
    body = request_body(size)
    assert len(body) == size
    assert body == request_body(size)
    assert json.loads(body)["messages"][-1]["role"] == "user"


def test_a_request_too_small_to_be_made_is_refused():
    with pytest.raises(ValueError, match="cannot be made"):
        request_body(64)


def test_the_load_generators_line_is_read():
    line = 'BENCH {"calls":10,"duration_us":2000000,"not_2xx":0,"socket_errors":0,"p50_us":120,"p99_us":900}'
    load = parse_load(line)
    assert load.per_second == 5
    assert checked(load, "http://here") is load


@pytest.mark.parametrize("wrong", [{"calls": 0}, {"not_2xx": 1}, {"socket_errors": 1}])
def test_one_wrong_answer_voids_a_round(wrong):
    """A gateway that refuses is fast."""
    good = {"calls": 9, "duration_us": 1, "not_2xx": 0, "socket_errors": 0, "p50_us": 1, "p99_us": 1}
    with pytest.raises(BenchError, match="void"):
        checked(Load(**{**good, **wrong}), "http://here")


SOUND = {"outcomes": 105, "distinct": 105, "intents": 105, "damaged": 0}


def test_a_ledger_with_one_outcome_a_call_is_sound():
    """100 calls were acknowledged; five more were under way when the load stopped, and are recorded as well."""
    assert checked_ledger(Counted(**SOUND), 100, 105, 1)["outcomes"] == 105


@pytest.mark.parametrize(
    "wrong", [{"outcomes": 104, "distinct": 104}, {"distinct": 104}, {"intents": 104}, {"damaged": 1}]
)
def test_a_ledger_that_lost_or_doubled_a_call_voids_the_claim(wrong):
    """Metering that is switched off by accident must not make the gateway look fast."""
    with pytest.raises(BenchError, match="the ledger disagrees"):
        checked_ledger(Counted(**{**SOUND, **wrong}), 100, 105, 1)


def test_no_sample_is_an_error_not_a_zero():
    with pytest.raises(BenchError, match="no sample"):
        spread([])


def test_quantiles_are_samples():
    samples = [n * 1000 for n in range(1, 101)]
    assert (quantile_us(samples, 0.5), quantile_us(samples, 0.99), quantile_us([], 0.5)) == (51.0, 100.0, 0.0)


def test_cpu_and_memory_of_a_process_and_its_children_are_seen(tmp_path):
    """A child that worked for a while shows in the CPU of its parent's tree, also after it has ended."""
    work = "import subprocess,sys,time; subprocess.run([sys.executable,'-c','sum(range(3_000_000))']); time.sleep(60)"
    child = Child([sys.executable, "-c", work], tmp_path / "log", cpus=split_cpus()[1])
    try:
        child.wait_until(lambda: cpu_s(tree(child.pid)) > 0.03 and len(tree(child.pid)) == 1, "the work")
        assert rss_mb(tree(child.pid)) > 1
    finally:
        child.stop()
    assert tree(child.pid) == [child.pid]
    assert cpu_s([child.pid]) == 0


def test_a_child_that_dies_early_says_why(tmp_path):
    child = Child([sys.executable, "-c", "raise SystemExit('no such option')"], tmp_path / "log", cpus=split_cpus()[1])
    try:
        with pytest.raises(BenchError, match=r"ended with 1 before .*no such option"):
            child.wait_for_port(free_port())
    finally:
        child.stop()


def test_the_stream_provider_sends_what_openai_sends(tmp_path):
    """As many content events as asked for, a finish reason, usage in a last chunk because it was asked for, [DONE]."""
    port = free_port()
    command = [sys.executable, str(HARNESS / "sse_provider.py"), str(port), "500"]
    child = Child(command, tmp_path / "log", cpus=split_cpus()[1])
    try:
        child.wait_for_port(port)
        said = read_events(check_stream("the provider", Running(child, port, key="none")))
    finally:
        child.stop()
    assert [each[0] > 0 for each in said[:EVENTS]] == [True] * EVENTS
    assert said[EVENTS:] == [(0, "stop", None), (0, None, (12, EVENTS)), "[DONE]"]


def test_a_stream_request_asks_for_usage():
    asked = json.loads(stream_body(7))
    assert (asked["stream"], asked["stream_options"], asked["max_tokens"]) == (True, {"include_usage": True}, 7)


def test_the_nginx_provider_answers_and_counts(tmp_path):
    """CPU a call is divided by the provider's count, so its own looks must not be in it."""
    if not shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"):
        pytest.skip("nginx is not installed (Debian: apt-get install nginx); the bench needs it, the product does not")
    provider = NginxProvider(tmp_path / "provider", split_cpus()[1])
    try:
        before = provider.calls()
        for size in (1024, 256 * 1024):
            request = urllib.request.Request(
                f"http://127.0.0.1:{provider.place.port}/v1/chat/completions", data=request_body(size)
            )
            with urllib.request.urlopen(request, timeout=10) as reply:
                assert (reply.status, reply.read()) == (200, REPLY)
        assert (before, provider.calls()) == (0, 2)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{provider.place.port}/read", timeout=10)
    finally:
        provider.stop()


def test_a_profile_counts_own_and_whole_time():
    """A function that calls itself counts once in its own whole time."""
    text = stack_tables("main (a.py:1);work (b.py:5) 3\nmain (a.py:1);work (b.py:6);work (b.py:7) 1\n")
    assert "100.0 %  main (a.py)" in text
    assert "100.0 %  work (b.py)" in text
    assert " 75.0 %  work (b.py:5)" in text
