"""CPU time per unstreamed call: answers checked, then rounds of closed-loop load on each subject in turn."""

import contextlib
import functools
import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness.bodies import REPLY
from harness.forms import CHAT, Form
from harness.nginx import NginxProvider
from harness.place import Place, make_certificates
from harness.process import cpu_s, rss_mb, tree
from harness.record import BenchError, Claim, Series, spread
from harness.setting import Setting, Started, now, say, started
from harness.subjects import Running
from harness.targets import INTERPRETED, SUBJECT
from harness.tidegate_gateway import Counted, count_journal
from harness.wrk import Load, run_wrk

CONNECTIONS = 32
SETTLE_S = 0.4  # after the load, so that calls under way end before CPU and calls are read
BYTE_EQUAL = ("nginx", SUBJECT, INTERPRETED)  # those that pass the reply through; the others may write it anew


class Round(msgspec.Struct, frozen=True):
    """One round of one subject. calls: those that reached the provider, which is what CPU is divided by."""

    calls: int
    cpu_us: float
    load: Load


class Calls(msgspec.Struct, frozen=True):
    """A claim on unstreamed calls. subjects: those that can make such calls at all, in the order of a round."""

    name: str
    title: str
    body_bytes: int
    subjects: tuple[str, ...]
    form: Form = CHAT
    tls: bool = False  # between subject and provider, on kept-alive connections
    remark: str = ""
    turns: bool = False  # every other round in the opposite order: who is compared with whom stand side by side


def measure_calls(setting: Setting, asked: Calls) -> Claim:
    """Measure one kind of call on every subject."""
    name, setting = asked.name, setting.among(asked.subjects)
    body = setting.folder / f"{name}.json"
    body.write_bytes(asked.form.request(asked.body_bytes))
    certificates = make_certificates(setting.folder / f"{name}-certificates") if asked.tls else None
    providers: dict[str, NginxProvider] = {}
    with contextlib.ExitStack() as stack:

        def place(subject: str) -> Place:
            folder = setting.folder / name / f"provider-{subject}"
            provider = NginxProvider(folder, set(setting.load_cpus), certificates)
            stack.callback(provider.stop)
            providers[subject] = provider
            return provider.place

        with started(setting, name, place) as subjects:
            rounds, memory = _rounds(setting, asked, subjects, providers, body)
            arrived = {subject: providers[subject].calls() for subject in subjects.running}
    checks = {}
    if SUBJECT in rounds:
        acknowledged = sum(each.load.calls for each in rounds[SUBJECT]) + 1
        counted = count_journal(setting.folder / name / SUBJECT / "home")
        checks = checked_ledger(counted, acknowledged, arrived[SUBJECT], len(rounds[SUBJECT]))
    return Claim(
        name=name,
        title=asked.title,
        unit="call",
        conditions=f"POST {asked.form.path} of {body.stat().st_size:,} bytes, the provider's reply of {len(REPLY)} "
        f"bytes{', TLS 1.3 to the provider' if asked.tls else ''}; wrk, 1 thread, {CONNECTIONS} connections, "
        f"{setting.seconds:g} s a round; one core for the subject, the rest for load and provider; "
        f"other subjects stand still meanwhile{asked.remark}",
        date=now(),
        rounds=setting.rounds,
        series={subject: _series(made[1:], memory[subject]) for subject, made in rounds.items()},
        missing=subjects.missing,
        checks=checks,
    )


def _rounds(
    setting: Setting, asked: Calls, subjects: Started, providers: dict[str, NginxProvider], body: Path
) -> tuple[dict[str, list[Round]], dict[str, float]]:
    """Round 0 is the warm-up; then every subject in turn. Also each subject's peak memory (MB)."""
    for subject in tuple(subjects.running):
        subjects.check(subject, functools.partial(check_answer, asked.form, body.read_bytes()))
    made: dict[str, list[Round]] = {subject: [] for subject in subjects.running}
    for number in range(setting.rounds + 1):
        seconds = setting.seconds if number else setting.warmup_s
        order = list(subjects.running.items())
        for subject, running in reversed(order) if asked.turns and number % 2 else order:
            load = functools.partial(
                run_wrk, running, asked.form.path, body, seconds, set(setting.load_cpus), connections=CONNECTIONS
            )
            with subjects.alone(subject):
                made[subject].append(one_round(running, providers[subject], load))
            if number:
                last = made[subject][-1]
                say(
                    f"{asked.name}: round {number} of {setting.rounds}: {subject:9} {last.cpu_us:9.1f} µs CPU a call, "
                    f"{last.load.per_second:8.0f} calls/s"
                )
    memory = {subject: rss_mb(tree(running.child.pid), "VmHWM") for subject, running in subjects.running.items()}
    return made, memory


def one_round(running: Running, provider: NginxProvider, make_load: Callable[[], Load]) -> Round:
    pids = tree(running.child.pid)
    calls, cpu = provider.calls(), cpu_s(pids)
    load = make_load()
    time.sleep(SETTLE_S)
    spent, arrived = cpu_s(tree(running.child.pid)) - cpu, provider.calls() - calls
    if arrived < load.calls:
        raise BenchError(f"{running.url()}: {load.calls} replies, but only {arrived} calls reached the provider")
    return Round(calls=arrived, cpu_us=spent / arrived * 1e6, load=load)


def check_answer(form: Form, body: bytes, subject: str, running: Running) -> None:
    """One call before any timing: status 200 and the provider's reply, byte by byte where it is passed through."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    headers = {"Authorization": running.authorization, "Content-Type": "application/json", **running.headers}
    try:
        connection.request("POST", form.path, body, headers)
        reply = connection.getresponse()
        got = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"{subject} did not answer: {error!r}") from error
    finally:
        connection.close()
    if reply.status != 200:
        raise BenchError(f"{subject} answered {reply.status}: {got[:300]!r}")
    if form is CHAT and subject in BYTE_EQUAL and got != REPLY:
        raise BenchError(f"{subject} changed the reply: {got[:600]!r}, not {REPLY!r}")
    if ESSENCES[form.name](json.loads(got)) != _chat_essence(json.loads(REPLY)):
        raise BenchError(f"{subject} answered something else: {got[:600]!r}")


def _chat_essence(reply: Any) -> tuple[object, ...]:
    """What a re-written reply must keep: text, and the two token counts."""
    usage = reply["usage"]
    return reply["choices"][0]["message"]["content"], usage["prompt_tokens"], usage["completion_tokens"]


def _anthropic_essence(reply: Any) -> tuple[object, ...]:
    """Anthropic counts tokens read from the cache beside its input tokens."""
    usage = reply["usage"]
    return reply["content"][0]["text"], usage["input_tokens"] + usage["cache_read_input_tokens"], usage["output_tokens"]


ESSENCES: dict[str, Callable[[Any], tuple[object, ...]]] = {"chat": _chat_essence, "anthropic": _anthropic_essence}


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
