"""Claim: the same with 1,000 streams under way: at most 20 µs an event, and 1.5 times nginx `proxy_buffering off`."""

from harness.events import Events, measure_events
from harness.record import Claim
from harness.setting import Setting

EVENTS = Events(
    "sse_1000", "CPU of a relayed SSE event, 1,000 streams", 1000, 20, ("nginx", "tidegate", "rolter"), sweep_s=0.05
)
NAME = EVENTS.name


def measure(setting: Setting) -> Claim:
    return measure_events(setting, EVENTS)
