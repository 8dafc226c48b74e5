"""CPU time per unstreamed call: answers checked, then rounds of closed-loop load on each subject in turn."""

import contextlib
import http.client
import json
import time
from pathlib import Path

import msgspec

from harness.bodies import REPLY, request_body
from harness.nginx import NginxProvider
from harness.process import cpu_s, rss_mb, tree
from harness.record import BenchError, Claim, Series, spread
from harness.setting import Setting, Started, now, say, started
from harness.subjects import Running
from harness.targets import SUBJECT
from harness.tidegate_gateway import Counted, count_journal
from harness.wrk import Load, run_wrk

CONNECTIONS = 32
SETTLE_S = 0.4  # after the load, so that calls under way end before CPU and calls are read
BYTE_EQUAL = ("nginx", SUBJECT)  # those that pass the reply through; the others may write it anew


class Round(msgspec.Struct, frozen=True):
    """One round of one subject. calls: those that reached the provider, which is what CPU is divided by."""

    calls: int
    cpu_us: float
    load: Load


def measure_calls(setting: Setting, name: str, title: str, body_bytes: int) -> Claim:
    """Measure one body size on every subject."""
    body = setting.folder / f"{name}.json"
    body.write_bytes(request_body(body_bytes))
    providers: dict[str, NginxProvider] = {}
    with contextlib.ExitStack() as stack:

        def provider_port(subject: str) -> int:
            provider = NginxProvider(setting.folder / name / f"provider-{subject}", set(setting.load_cpus))
            stack.callback(provider.stop)
            providers[subject] = provider
            return provider.port

        with started(setting, name, provider_port) as subjects:
            rounds, memory = _rounds(setting, name, subjects, providers, body)
            arrived = {subject: providers[subject].calls() for subject in subjects.running}
    checks = {}
    if SUBJECT in rounds:
        acknowledged = sum(each.load.calls for each in rounds[SUBJECT]) + 1
        counted = count_journal(setting.folder / name / SUBJECT / "home")
        checks = checked_ledger(counted, acknowledged, arrived[SUBJECT], len(rounds[SUBJECT]))
    return Claim(
        name=name,
        title=title,
        unit="call",
        conditions=f"POST of {body_bytes:,} bytes, reply of {len(REPLY)} bytes; wrk, 1 thread, {CONNECTIONS} "
        f"connections, {setting.seconds:g} s a round; one core for the subject, the rest for load and provider",
        date=now(),
        rounds=setting.rounds,
        series={subject: _series(made[1:], memory[subject]) for subject, made in rounds.items()},
        missing=subjects.missing,
        checks=checks,
    )


def _rounds(
    setting: Setting, name: str, subjects: Started, providers: dict[str, NginxProvider], body: Path
) -> tuple[dict[str, list[Round]], dict[str, float]]:
    """Round 0 is the warm-up; then every subject in turn. Also each subject's peak memory (MB)."""
    made: dict[str, list[Round]] = {subject: [] for subject in subjects.running}
    for subject, running in subjects.running.items():
        check_answer(subject, running, body.read_bytes())
    for number in range(setting.rounds + 1):
        seconds = setting.seconds if number else setting.warmup_s
        for subject, running in subjects.running.items():
            made[subject].append(one_round(running, providers[subject], body, seconds, set(setting.load_cpus)))
            if number:
                last = made[subject][-1]
                say(
                    f"{name}: round {number} of {setting.rounds}: {subject:9} {last.cpu_us:9.1f} µs CPU a call, "
                    f"{last.load.per_second:8.0f} calls/s"
                )
    memory = {subject: rss_mb(tree(running.child.pid), "VmHWM") for subject, running in subjects.running.items()}
    return made, memory


def one_round(running: Running, provider: NginxProvider, body: Path, seconds: float, cpus: set[int]) -> Round:
    pids = tree(running.child.pid)
    calls, cpu = provider.calls(), cpu_s(pids)
    load = run_wrk(running.url, body, running.authorization, seconds, cpus, connections=CONNECTIONS)
    time.sleep(SETTLE_S)
    spent, arrived = cpu_s(tree(running.child.pid)) - cpu, provider.calls() - calls
    if arrived < load.calls:
        raise BenchError(f"{running.url}: {load.calls} replies, but only {arrived} calls reached the provider")
    return Round(calls=arrived, cpu_us=spent / arrived * 1e6, load=load)


def check_answer(subject: str, running: Running, body: bytes) -> None:
    """One call before any timing: status 200 and the provider's reply, byte by byte where it is passed through."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    headers = {"Authorization": running.authorization, "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        reply = connection.getresponse()
        got = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"{subject} did not answer: {error!r}") from error
    finally:
        connection.close()
    if reply.status != 200:
        raise BenchError(f"{subject} answered {reply.status}: {got[:300]!r}")
    if subject in BYTE_EQUAL and got != REPLY:
        raise BenchError(f"{subject} changed the reply: {got[:600]!r}, not {REPLY!r}")
    if _essence(got) != _essence(REPLY):
        raise BenchError(f"{subject} answered something else: {got[:600]!r}")


def _essence(reply: bytes) -> tuple[object, ...]:
    """What a re-written reply must keep: id, text, and the two token counts."""
    read = json.loads(reply)
    usage = read["usage"]
    return (
        read["id"],
        read["choices"][0]["message"]["content"],
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )


def checked_ledger(counted: Counted, acknowledged: int, arrived: int, rounds: int) -> dict[str, int]:
    """Every acknowledged call and every call at the provider has exactly one outcome and its intent.

    wrk drops what is under way at the end of a round: up to CONNECTIONS calls a round have an outcome but no
    acknowledgement, and may not have reached the provider. Raises BenchError otherwise.
    """
    checks = {
        "acknowledged": acknowledged,
        "at_provider": arrived,
        "outcomes": counted.outcomes,
        "distinct_outcomes": counted.distinct,
        "intents": counted.intents,
        "damaged_lines": counted.damaged,
    }
    sound = (
        acknowledged <= arrived <= counted.outcomes <= acknowledged + CONNECTIONS * rounds
        and counted.distinct == counted.outcomes
        and counted.intents >= arrived
        and not counted.damaged
    )
    if not sound:
        raise BenchError(f"the ledger disagrees with the load; the figures are void: {checks}")
    return checks


def _series(rounds: list[Round], memory_mb: float) -> Series:
    return Series(
        metrics={
            "cpu_us": spread([each.cpu_us for each in rounds]),
            "per_second": spread([each.load.per_second for each in rounds]),
            "p50_us": spread([each.load.p50_us for each in rounds]),
            "p99_us": spread([each.load.p99_us for each in rounds]),
            "rss_peak_mb": spread([memory_mb]),
        },
        count=sum(each.calls for each in rounds),
    )
