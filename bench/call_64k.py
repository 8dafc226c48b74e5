"""A 64 kB chat call, between the small ones and those of coding agents."""

from harness.calls import Calls, measure_calls
from harness.peers import FAST
from harness.record import Claim
from harness.setting import Setting

CALLS = Calls("call_64k", "CPU of a call, 64 kB request", 64 * 1024, ("nginx", "tidegate", *FAST))
NAME = CALLS.name


def measure(setting: Setting) -> Claim:
    return measure_calls(setting, CALLS)
