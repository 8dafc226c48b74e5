"""What a 1 kB call costs across dialects: the caller speaks Anthropic Messages, the provider chat completions."""

from harness.calls import Calls, measure_calls
from harness.forms import ANTHROPIC
from harness.record import Claim
from harness.setting import Setting

CALLS = Calls(
    "call_across",
    "CPU of a call across dialects, 1 kB request",
    1024,
    ("tidegate",),
    ANTHROPIC,
    remark="; a caller of Anthropic's Messages, a provider of chat completions; nginx does not translate",
)
NAME = CALLS.name


def measure(setting: Setting) -> Claim:
    return measure_calls(setting, CALLS)
