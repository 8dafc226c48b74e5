"""What becomes of calls when providers fail, with and without a border: the table of docs/explanation/routing.md.

    .venv/bin/python bench/borders.py

Three fake providers in DE, CN and US before a real gateway. In each case those that are named fail in their way for
every call, the others are well; half of the calls are streams. Who was asked is counted at the providers themselves.
"""

import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("src", "tests")]

import httpx2 as httpx  # noqa: E402

from rig.borders import MODEL, PLACES, Borders, borders  # noqa: E402
from rig.gateway import start_gateway  # noqa: E402

CALLS, AT_ONCE, SEED = 300, 8, 20261122
SETTINGS = "[routing]\nfirst_byte_s = 0.3\nretries_per_call = 3\n"
MIXED = ("refuses", "is_full", "rejects_key", "dies", "dies_after_role", "errs_in_stream", "is_slow", "well")
CASES = (
    ("nothing fails", "", {}),
    ("two answer 500", "", {"cn": "refuses", "us": "refuses"}),
    ("two are rate-limited", "", {"cn": "is_full", "us": "is_full"}),
    ("two refuse our key", "", {"cn": "rejects_key", "us": "rejects_key"}),
    ("two hang", "", {"cn": "hangs", "us": "hangs"}),
    ("two break off", "", {"cn": "dies_after_role", "us": "dies"}),
    ("two fail inside a 200", "", {"cn": "errs_in_stream", "us": "errs_in_stream"}),
    ("two fail at random", "", {"cn": "mixed", "us": "mixed"}),
    ("eu-only, the others well", "eu-only", {}),
    ("eu-only, the one inside fails at random", "eu-only", {"de": "mixed"}),
    ("china-only, the one inside is down", "china-only", {"cn": "refuses"}),
)


def run(world: Borders, policy: str, moods: dict[str, str], folder: Path) -> tuple[Counter[int], Counter[str], int]:
    """Statuses of all calls, who was asked how often, and how many rows were charged for nothing."""
    rng, before = random.Random(SEED), world.calls
    for name, place in world.places.items():
        mood = moods.get(name, "well")
        place.mood, place.moods = "well" if mood == "mixed" else mood, []
        if mood == "mixed":
            place.moods = [rng.choice(MIXED) for _ in range(CALLS * 4)]
    bound = f'policies = ["{policy}"]\n' if policy else ""
    gateway = start_gateway(folder, world.configuration(SETTINGS + bound))
    try:
        with httpx.Client(headers=gateway.headers, timeout=30) as client, ThreadPoolExecutor(AT_ONCE) as pool:

            def one(number: int) -> int:
                body = {"model": MODEL, "messages": [{"role": "user", "content": "2+2?"}], "stream": number % 2 == 0}
                reply = client.post(f"{gateway.url}/v1/chat/completions", json=body)
                whole = "four." in reply.text.lower() and '"error"' not in reply.text
                return reply.status_code if whole or reply.status_code != 200 else 0

            statuses = Counter(pool.map(one, range(CALLS)))
        rows = [outcome.row for outcome in gateway.outcomes()]
    finally:
        gateway.stop()
    assert len(rows) == CALLS
    asked = Counter({name: world.calls[name] - before[name] for name in PLACES})
    return statuses, asked, sum(bool(row.cost_nano_usd) for row in rows if row.status_code != 200)


def main() -> None:
    print("| case | calls | answered | refused or failed | attempts a call | asked DE, CN, US | failures charged |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with borders() as world, tempfile.TemporaryDirectory() as folder:
        for number, (name, policy, moods) in enumerate(CASES):
            statuses, asked, charged = run(world, policy, moods, Path(folder) / str(number))
            failed = [f"{count} × {status or 'in the stream'}" for status, count in sorted(statuses.items())]
            others = ", ".join(text for text in failed if not text.endswith(" 200")) or "-"
            answered = f"{statuses[200] / CALLS:.1%}".replace("100.0%", "100 %")
            told = ", ".join(str(asked[place]) for place in ("de", "cn", "us"))
            row = (name, CALLS, answered, others, f"{asked.total() / CALLS:.2f}", told, charged)
            print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
