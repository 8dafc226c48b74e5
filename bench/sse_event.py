"""Claim: relaying one SSE event, peeking for usage, costs at most 20 µs of CPU and 1.5 times nginx."""

from harness.events import Events, measure_events
from harness.record import Claim
from harness.setting import Setting

EVENTS = Events("sse_event", "CPU of a relayed SSE event", 100, 100, ("nginx", "tidegate", "rolter"))
NAME = EVENTS.name


def measure(setting: Setting) -> Claim:
    return measure_events(setting, EVENTS)
