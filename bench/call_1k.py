"""Claim: a 1 kB chat call costs at most 80 µs of CPU, four times nginx `proxy_pass` and 0.6 times the Rust peer.

With authentication, metering, pricing and both journal records on; nginx only forwards.
"""

from harness.calls import Calls, measure_calls
from harness.peers import PEERS
from harness.record import Claim
from harness.setting import Setting
from harness.targets import INTERPRETED, SUBJECT

CALLS = Calls("call_1k", "CPU of a call, 1 kB request", 1024, ("nginx", SUBJECT, INTERPRETED, *PEERS))
NAME = CALLS.name


def measure(setting: Setting) -> Claim:
    return measure_calls(setting, CALLS)
