"""Measured beside its neighbours: a 64 kB chat call, a long conversation. No target of its own."""

from harness.calls import measure_calls
from harness.record import Claim
from harness.setting import Setting

NAME, BODY_BYTES = "call_64k", 64 * 1024


def measure(setting: Setting) -> Claim:
    return measure_calls(setting, NAME, "CPU of a call, 64 kB request", BODY_BYTES)
