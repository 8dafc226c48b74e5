"""CPU time per relayed SSE event: streams checked, then rounds of many paced streams through each subject in turn."""

import contextlib
import functools

import msgspec

from harness.calls import BYTE_EQUAL
from harness.forms import CHAT, Form
from harness.paced import PacedProvider
from harness.place import Place
from harness.record import BenchError, Claim, Series, spread
from harness.setting import Setting, Started, now, say, started
from harness.sse_check import check_anthropic_stream, check_stream
from harness.sse_load import CLOSE_S, START_APART_S, Job, Streams
from harness.sse_readers import read_job
from harness.subjects import Running
from harness.targets import SUBJECT
from harness.tidegate_gateway import count_journal

SETTLE_S, SPARE_S = 1.5, 1.0  # streams under way before the window, and still after it
START_FACTOR = 2  # starting a stream may take that much longer than START_APART_S


class Events(msgspec.Struct, frozen=True):
    """A claim on relayed events. subjects: those that can relay such streams, in the order of a round."""

    name: str
    title: str
    streams: int
    events_per_s: int  # of one stream
    subjects: tuple[str, ...]
    form: Form = CHAT
    sweep_s: float = 0.01  # how often each socket is read
    remark: str = ""

    def events(self, window_s: float) -> int:
        """Content events of a stream that is still under way when the window ends, however late the last started."""
        starting_s = self.streams * START_APART_S * START_FACTOR
        return round((starting_s + SETTLE_S + window_s + SPARE_S) * self.events_per_s)


def measure_events(setting: Setting, asked: Events) -> Claim:
    setting = setting.among(asked.subjects)
    with contextlib.ExitStack() as stack:
        log = setting.folder / f"{asked.name}-provider.log"
        provider = PacedProvider(log, set(setting.load_cpus), asked.events_per_s)
        stack.callback(provider.stop)
        with started(setting, asked.name, lambda _: provider.place) as subjects:
            check_streams(subjects, provider.place, asked.form)
            made = _rounds(setting, asked, subjects)
    acknowledged = asked.streams * setting.rounds + 1
    return Claim(
        name=asked.name,
        title=asked.title,
        unit="event",
        conditions=f"{asked.streams:,} streams of {asked.events_per_s} events/s, about 250 bytes each, one write an "
        f"event at the provider; a window of {setting.seconds:g} s with every stream under way; readers wake by the "
        "clock, so that the subject does not pay for waking them; delay from the provider's write to the reader, on "
        f"four streams that are read at once; other subjects stand still meanwhile{asked.remark}",
        date=now(),
        rounds=setting.rounds,
        series={subject: _series(streams) for subject, streams in made.items()},
        missing=subjects.missing,
        checks=checked_streams(setting, asked.name, acknowledged) if SUBJECT in made else {},
    )


def check_streams(subjects: Started, place: Place, form: Form) -> None:
    expected = check_stream("the provider itself", Direct(place), None)
    for subject in tuple(subjects.running):
        if form is CHAT:
            subjects.check(subject, functools.partial(check_stream, expected=expected, exact=subject in BYTE_EQUAL))
        else:
            subjects.check(subject, functools.partial(check_anthropic_stream, form=form))


class Direct(Running):
    """The provider itself in a subject's place; it asks for no key and is stopped by its owner."""

    def __init__(self, place: Place) -> None:
        self.port, self.authorization, self.headers = place.port, "Bearer none", {}


def _rounds(setting: Setting, asked: Events, subjects: Started) -> dict[str, list[Streams]]:
    made: dict[str, list[Streams]] = {subject: [] for subject in subjects.running}
    for number in range(1, setting.rounds + 1):
        for subject, running in subjects.running.items():
            with subjects.alone(subject):
                seen = _one_round(setting, asked, running)
            made[subject].append(seen)
            say(
                f"{asked.name}: round {number} of {setting.rounds}: {subject:9} {_cpu_us(seen):7.1f} µs CPU an event, "
                f"{seen.window_events / seen.window_s:6.0f} events/s, delay p99 {seen.delay_p99_us:.0f} µs"
            )
    return made


def _one_round(setting: Setting, asked: Events, running: Running) -> Streams:
    events = asked.events(setting.seconds)
    job = Job(
        port=running.port,
        authorization=running.authorization,
        streams=asked.streams,
        events=events,
        settle_s=SETTLE_S,
        window_s=setting.seconds,
        pid=running.child.pid,
        form=asked.form.name,
        sweep_s=asked.sweep_s,
    )
    seen = read_job(job, set(setting.load_cpus), events / asked.events_per_s + CLOSE_S + 20)
    least = asked.streams * events
    if seen.done != asked.streams or seen.bad_heads or seen.events < least or not seen.window_events:
        raise BenchError(f"{running.url()}: {asked.streams} streams of {events} events were asked for; seen: {seen}")
    return seen


def checked_streams(setting: Setting, folder: str, acknowledged: int) -> dict[str, int]:
    """Each stream has exactly one outcome and its intent in Tidegate's journal; raises BenchError otherwise."""
    counted = count_journal(setting.folder / folder / SUBJECT / "home")
    checks = {
        "acknowledged": acknowledged,
        "outcomes": counted.outcomes,
        "distinct_outcomes": counted.distinct,
        "intents": counted.intents,
        "damaged_lines": counted.damaged,
    }
    if not counted.outcomes == counted.distinct == acknowledged <= counted.intents or counted.damaged:
        raise BenchError(f"the ledger disagrees with the load; the figures are void: {checks}")
    return checks


def _cpu_us(seen: Streams) -> float:
    return seen.window_cpu_s / seen.window_events * 1e6


def _series(made: list[Streams]) -> Series:
    return Series(
        metrics={
            "cpu_us": spread([_cpu_us(seen) for seen in made]),
            "per_second": spread([seen.window_events / seen.window_s for seen in made]),
            "p50_us": spread([seen.delay_p50_us for seen in made]),
            "p99_us": spread([seen.delay_p99_us for seen in made]),
            "rss_mb": spread([seen.rss_mb for seen in made]),
        },
        count=sum(seen.window_events for seen in made),
    )
