"""Claim: wallet, budget and two rates add at most 8 µs of CPU to a 1 kB call, which still costs at most 80 µs.

Two gateways side by side, one with a key without limits, the other with a prepaid tenant. They take short turns, in
changing order, many times a run: what is added is the difference of two turns within the same few seconds, so what
else the machine does falls out of it; its median comes with a bootstrap interval.
"""

import msgspec

from harness.calls import Calls, measure_calls
from harness.record import Claim, paired
from harness.setting import Setting
from harness.targets import SUBJECT
from harness.tidegate_gateway import WithAccounts

CALLS = Calls("call_1k_accounts", "CPU that accounts add to a call, 1 kB request", 1024,
              ("nginx", SUBJECT, WithAccounts.name), turns=True)  # fmt: skip
NAME = CALLS.name
TURN_S = 1.0
TURNS_A_ROUND = 4


def measure(setting: Setting) -> Claim:
    subjects = (*setting.subjects, WithAccounts(setting.build))
    rounds = setting.rounds * TURNS_A_ROUND
    claim = measure_calls(msgspec.structs.replace(setting, subjects=subjects, rounds=rounds, seconds=TURN_S), CALLS)
    limited, free = claim.series[WithAccounts.name], claim.series[SUBJECT]
    added = {**limited.metrics, "added_cpu_us": paired(limited.metrics["cpu_us"], free.metrics["cpu_us"])}
    series = {**claim.series, WithAccounts.name: msgspec.structs.replace(limited, metrics=added)}
    return msgspec.structs.replace(claim, series=series)
