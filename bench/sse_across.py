"""Claim: an SSE event translated between dialects costs at most 60 µs of CPU, with 1,000 streams under way."""

from harness.events import Events, measure_events
from harness.forms import ANTHROPIC
from harness.record import Claim
from harness.setting import Setting

EVENTS = Events(
    "sse_across",
    "CPU of an SSE event across dialects, 1,000 streams",
    1000,
    10,  # 20 would be more than one core at 60 µs
    ("tidegate",),
    ANTHROPIC,
    sweep_s=0.05,
    remark="; a caller of Anthropic's Messages, a provider of chat completions; nginx does not translate",
)
NAME = EVENTS.name


def measure(setting: Setting) -> Claim:
    return measure_events(setting, EVENTS)
