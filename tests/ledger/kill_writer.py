"""Journals calls as fast as it can until it is killed; run as a script by test_kill.py.

    kill_writer.py JOURNAL_FOLDER NOW_US SEED

Prints `i CALL ATTEMPT` once an intent is in the kernel and `o CALL` once an outcome is: what a provider or a caller
could know about.
"""

import os
import random
import sys
import time
from pathlib import Path

from ledger_calls import make_intent, make_outcome, open_writer


def main(directory: Path, now_us: int, seed: int) -> None:
    chance = random.Random(seed)
    writer = open_writer(directory, now_us=now_us)
    waiting: dict[int, int] = {}
    number = 0
    while True:
        acknowledged = []
        for _ in range(chance.randint(1, 4)):
            kind = chance.random()
            if kind < 0.004:
                old, writer = writer, writer.rotate(now_us)
                old.close()
            elif kind < 0.5 or not waiting:
                number += 1
                waiting[number] = 1
                writer.append(make_intent(number, ts=now_us))
                acknowledged.append(f"i {number} 1\n")
            else:
                call = chance.choice(list(waiting))
                if kind < 0.6:
                    waiting[call] += 1
                    writer.append(make_intent(call, waiting[call], ts=now_us))
                    acknowledged.append(f"i {call} {waiting[call]}\n")
                else:
                    del waiting[call]
                    writer.append(make_outcome(call, writer, ts=now_us))
                    acknowledged.append(f"o {call}\n")
        writer.flush()
        os.write(1, "".join(acknowledged).encode())
        time.sleep(0.0002)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
