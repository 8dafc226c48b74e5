"""Claim: wallet, budget and two rates add at most 8 µs of CPU to a 1 kB call, which still costs at most 80 µs.

Two gateways side by side, one with a key without limits, the other with a prepaid tenant: what is added is the
difference of the same round.
"""

import msgspec

from harness.calls import Calls, measure_calls
from harness.record import Claim, spread
from harness.setting import Setting
from harness.targets import SUBJECT
from harness.tidegate_gateway import WithAccounts

CALLS = Calls("call_1k_accounts", "CPU that accounts add to a call, 1 kB request", 1024,
              ("nginx", SUBJECT, WithAccounts.name))  # fmt: skip
NAME = CALLS.name


def measure(setting: Setting) -> Claim:
    both = msgspec.structs.replace(setting, subjects=(*setting.subjects, WithAccounts(setting.build)))
    claim = measure_calls(both, CALLS)
    limited, free = claim.series[WithAccounts.name], claim.series[SUBJECT]
    pairs = zip(limited.metrics["cpu_us"].samples, free.metrics["cpu_us"].samples, strict=True)
    added = {**limited.metrics, "added_cpu_us": spread([one - other for one, other in pairs])}
    series = {**claim.series, WithAccounts.name: msgspec.structs.replace(limited, metrics=added)}
    return msgspec.structs.replace(claim, series=series)
