"""Claim: with TLS to the provider, a 1 kB chat call costs at most 140 µs of CPU and five times nginx, TLS there too."""

from harness.calls import Calls, measure_calls
from harness.record import Claim
from harness.setting import Setting

CALLS = Calls("call_1k_tls", "CPU of a call, 1 kB request, TLS to the provider", 1024, ("nginx", "tidegate"), tls=True)
NAME = CALLS.name


def measure(setting: Setting) -> Claim:
    return measure_calls(setting, CALLS)
