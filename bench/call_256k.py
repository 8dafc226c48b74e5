"""Claim: a 256 kB chat call, as coding agents send them, costs at most four times nginx `proxy_pass`."""

from harness.calls import measure_calls
from harness.record import Claim
from harness.setting import Setting

NAME, BODY_BYTES = "call_256k", 256 * 1024


def measure(setting: Setting) -> Claim:
    return measure_calls(setting, NAME, "CPU of a call, 256 kB request", BODY_BYTES)
