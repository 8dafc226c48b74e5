"""Claim: an open stream takes at most 20 kB of the gateway's memory, in plaintext; measured at 0, 1,000 and 5,000.

A peer's memory with 1,000 streams stands in the table of sse_1000.
"""

from harness.held import Holding, measure_held
from harness.record import Claim
from harness.setting import Setting

HOLDING = Holding("streams_memory", "Memory of open streams", ("nginx", "tidegate"))
NAME = HOLDING.name


def measure(setting: Setting) -> Claim:
    return measure_held(setting, HOLDING)
