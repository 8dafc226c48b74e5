"""What an open stream takes of the gateway's memory when the provider is reached over TLS."""

from harness.held import Holding, measure_held
from harness.record import Claim
from harness.setting import Setting

HOLDING = Holding(
    "streams_memory_tls",
    "Memory of open streams, TLS to the provider",
    ("nginx", "tidegate"),
    tls=True,
    rounds_max=1,
)
NAME = HOLDING.name


def measure(setting: Setting) -> Claim:
    return measure_held(setting, HOLDING)
