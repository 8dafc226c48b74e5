"""Claim: a 256 kB chat call, as coding agents send them, costs at most 3 times nginx and 0.3 times the Rust peer."""

from harness.calls import Calls, measure_calls
from harness.peers import FAST
from harness.record import Claim
from harness.setting import Setting

CALLS = Calls("call_256k", "CPU of a call, 256 kB request", 256 * 1024, ("nginx", "tidegate", *FAST))
NAME = CALLS.name


def measure(setting: Setting) -> Claim:
    return measure_calls(setting, CALLS)
