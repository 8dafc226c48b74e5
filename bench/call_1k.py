"""Claim: a 1 kB chat call costs at most 100 µs of CPU and at most five times nginx `proxy_pass`.

With authentication, metering, pricing and both journal records on; nginx only forwards.
"""

from harness.calls import measure_calls
from harness.record import Claim
from harness.setting import Setting

NAME, BODY_BYTES = "call_1k", 1024


def measure(setting: Setting) -> Claim:
    return measure_calls(setting, NAME, "CPU of a call, 1 kB request", BODY_BYTES)
