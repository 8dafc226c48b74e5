"""What becomes of calls when providers fail, with and without a border: the table of docs/explanation/routing.md.

    .venv/bin/python bench/borders.py            measures (four minutes), writes bench/results/borders.json, renders
    .venv/bin/python bench/borders.py --render   the table of docs/explanation/routing.md from that file

Three fake providers in DE, CN and US before a real gateway with default settings, but for shorter time-outs. In each
case those that are named fail in their way, for every call or at random; half of the calls are streams. Who was asked
is counted at the providers themselves. The caller pays from a wallet, which is set against the rows in the end.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("src", "tests")]

import httpx2 as httpx  # noqa: E402
import msgspec  # noqa: E402

from harness.machine import machine  # noqa: E402
from harness.setting import now, say  # noqa: E402
from harness.tidegate_gateway import REPOSITORY, commit  # noqa: E402
from rig.borders import MODEL, PLACES, Borders, borders  # noqa: E402
from rig.gateway import Gateway, start_gateway  # noqa: E402
from tidegate.accounts.keys import KeyWish, open_accounts  # noqa: E402
from tidegate.accounts.quotas.table import held_of, set_quota  # noqa: E402
from tidegate.core.quota import Quota  # noqa: E402

RESULT = REPOSITORY / "bench" / "results" / "borders.json"
PAGE = REPOSITORY / "docs" / "explanation" / "routing.md"
BEGIN, END = "<!-- borders:begin -->", "<!-- borders:end -->"
CALLS, AT_ONCE, SEED = 1000, 16, 20261122
SETTINGS = "[routing]\npauses_s = 6\nfirst_byte_s = 0.3\n"
WALLET_NANO_USD = 10**12
STUMBLES = 0.2  # of the calls of an endpoint that fails at random
MIXED = ("refuses", "is_full", "dies", "dies_after_role", "errs_in_stream", "hangs", "is_late")
COST = {"de": 3, "cn": 1, "us": 2}  # nano-USD a token, in and out
TOKENS = 17


class Case(msgspec.Struct, frozen=True):
    """moods: of each provider that is not well; `~` before one: at random. policy: that binds every call."""

    name: str
    moods: dict[str, str] = {}
    policy: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What became of the calls of one case.

    broken_off: streams that ended after their first event. refused: the others, by status. attempts: in all rows.
    outside: calls that a provider beyond the border got. vain_nano_usd: charged for what was not answered.
    unbalanced_nano_usd: by how much the wallet and the rows differ.
    """

    name: str
    calls: int
    answered: int
    broken_off: int
    refused: dict[str, int]
    attempts: int
    asked: dict[str, int]
    outside: int
    vain_nano_usd: int
    unbalanced_nano_usd: int
    wrongly_charged: int


class Record(msgspec.Struct, frozen=True):
    date: str
    commit: str
    cpu: str
    cores: int
    outcomes: tuple[Outcome, ...]


def two(mood: str) -> dict[str, str]:
    return {"cn": mood, "us": mood}


CASES = (
    Case("nothing fails"),
    Case("two of three answer 500", two("refuses")),
    Case("two are rate-limited", two("is_full")),
    Case("two refuse our key", two("rejects_key")),
    Case("two hang", two("hangs")),
    Case("two are slow", two("is_late")),
    Case("two break off before the first word", {"cn": "dies_after_role", "us": "dies"}),
    Case("two fail inside a 200", two("errs_in_stream")),
    Case("two die in the middle of their streams", two("dies_after_words")),
    Case("two fail in all these ways", two("*mixed")),
    Case("all three stumble in all these ways", dict.fromkeys(PLACES, "~mixed")),
    Case("eu-only, the others well", {}, "eu-only"),
    Case("eu-only, the one inside stumbles: 500", {"de": "~refuses"}, "eu-only"),
    Case("... 429", {"de": "~is_full"}, "eu-only"),
    Case("... broken connections", {"de": "~dies"}, "eu-only"),
    Case("... silence", {"de": "~hangs"}, "eu-only"),
    Case("... slowness", {"de": "~is_late"}, "eu-only"),
    Case("... a role, and no word", {"de": "~dies_after_role"}, "eu-only"),
    Case("... failures inside a 200", {"de": "~errs_in_stream"}, "eu-only"),
    Case("... death after the first words", {"de": "~dies_after_words"}, "eu-only"),
    Case("... in all these ways", {"de": "~mixed"}, "eu-only"),
    Case("china-only, the one inside is dead", {"cn": "refuses"}, "china-only"),
)  # fmt: skip
HOME = {"eu-only": "de", "china-only": "cn"}


def set_moods(world: Borders, case: Case) -> None:
    rng = random.Random(SEED)
    for name, place in world.places.items():
        mood = case.moods.get(name, "well")
        place.mood, place.moods = mood, []
        if mood[0] in "~*":
            share, ways = STUMBLES if mood[0] == "~" else 1.0, MIXED if mood.endswith("mixed") else (mood[1:],)
            place.mood = "well"
            place.moods = [rng.choice(ways) if rng.random() < share else "well" for _ in range(CALLS * 4)]


def start(world: Borders, case: Case, folder: Path) -> Gateway:
    """A gateway with a caller who has a wallet."""
    accounts = open_accounts(folder)
    secret = accounts.add_key(KeyWish(name="k", tenant_id="acme")).secret
    with accounts.database.writing() as connection:
        set_quota(connection, Quota(quota_id="w", tenant_id="acme", scope="tenant", subject="acme", unit="nano_usd",
                                    limit=WALLET_NANO_USD, window="lifetime", is_wallet=True))  # fmt: skip
    accounts.close()
    bound = f'policies = ["{case.policy}"]\n' if case.policy else ""
    config = world.configuration(SETTINGS + bound).replace("first_byte_s = 5\n", "first_byte_s = 1\n")
    return start_gateway(folder, config, key=secret)


def held(folder: Path) -> int:
    accounts = open_accounts(folder)
    try:
        with accounts.database.reading() as connection:
            return held_of(connection, "w")
    finally:
        accounts.close()


def run(world: Borders, case: Case, folder: Path) -> Outcome:
    set_moods(world, case)
    folder.mkdir()
    before, gateway = world.calls, start(world, case, folder)
    try:
        with httpx.Client(headers=gateway.headers, timeout=60) as client, ThreadPoolExecutor(AT_ONCE) as pool:

            def one(number: int) -> str:
                body = {"model": MODEL, "messages": [{"role": "user", "content": "2+2?"}], "max_tokens": 50,
                        "stream": number % 2 == 0}  # fmt: skip
                reply = client.post(f"{gateway.url}/v1/chat/completions", json=body)
                if reply.status_code == 200 and '"error"' in reply.text:
                    return "broken_off" if '"delta"' in reply.text else "inside a 200"
                return "answered" if "four." in reply.text.lower() else str(reply.status_code)

            found = Counter(pool.map(one, range(CALLS)))
    finally:
        gateway.stop()
    asked = {name: world.calls[name] - before[name] for name in PLACES}
    return judged(case, found, gateway, asked)


def judged(case: Case, found: Counter[str], gateway: Gateway, asked: dict[str, int]) -> Outcome:
    rows = [outcome.row for outcome in gateway.outcomes()]
    if len(rows) != CALLS:
        raise SystemExit(f"{case.name}: {len(rows)} rows for {CALLS} calls")
    charged = sum(row.cost_nano_usd or 0 for row in rows)
    good = [row for row in rows if row.status_code == 200 and row.error_type is None]
    return Outcome(
        name=case.name,
        calls=CALLS,
        answered=found.pop("answered", 0),
        broken_off=found.pop("broken_off", 0),
        refused=dict(sorted(found.items())),
        attempts=sum(row.attempt_count or 0 for row in rows),
        asked=asked,
        outside=sum(count for name, count in asked.items() if case.policy and name != HOME[case.policy]),
        vain_nano_usd=sum(row.cost_nano_usd or 0 for row in rows if row.status_code != 200),
        unbalanced_nano_usd=held(gateway.home) - charged,
        wrongly_charged=sum(row.cost_nano_usd != TOKENS * 1000 * COST[row.provider_name or ""] for row in good),
    )


def render(record: Record) -> str:
    """The table, as it stands between its two marks."""
    lines = [
        f"{record.outcomes[0].calls:,} calls a case, {AT_ONCE} at a time; {record.date[:10]}, {record.cpu}, "
        f"{record.cores} cores, commit `{record.commit[:12]}`.",
        "",
        "| case | answered | broken off | not answered | attempts a call | asked DE, CN, US |",
        "| --- | ---: | ---: | --- | ---: | --- |",
    ]
    for one in record.outcomes:
        could = one.calls - one.broken_off
        share = f"{100 * one.answered / could:.1f} %" if one.answered < could else "100 %"
        refused = ", ".join(f"{count} × {status}" for status, count in one.refused.items()) or "-"
        told = ", ".join(str(one.asked[place]) for place in PLACES)
        lines.append(
            f"| {one.name} | {share} | {one.broken_off or '-'} | {refused} | {one.attempts / one.calls:.2f} | {told} |"
        )
    total = sum(one.calls for one in record.outcomes)
    sums = [sum(getattr(one, name) for one in record.outcomes)
            for name in ("outside", "vain_nano_usd", "wrongly_charged", "unbalanced_nano_usd")]  # fmt: skip
    attempts = sum(one.attempts for one in record.outcomes) - sum(sum(one.asked.values()) for one in record.outcomes)
    lines += [
        "",
        f"In all {total:,} calls: {sums[0]} left their border, {sums[1]} nano-USD were charged for what was refused, "
        f"{sums[2]} answers were charged at another price than their endpoint's, wallets and rows differ by {sums[3]} "
        f"nano-USD, and rows have {abs(attempts)} attempts {'more' if attempts > 0 else 'fewer'} than providers saw.",
    ]
    return "\n".join(lines)


def page(text: str, table: str) -> str:
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", action="store_true", help="do not measure")
    parser.add_argument("--only", metavar="WORDS", help="cases whose name has these words; nothing is written")
    options = parser.parse_args(arguments)
    if not options.render:
        outcomes, on = [], machine()
        with borders() as world, tempfile.TemporaryDirectory(prefix="tidegate-borders-") as folder:
            for number, case in enumerate(CASES):
                if options.only and options.only not in case.name:
                    continue
                outcomes.append(run(world, case, Path(folder) / str(number)))
                say(str(outcomes[-1]))
        record = Record(now(), commit(), on.cpu, on.cores, tuple(outcomes))
        if options.only:
            return
        RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    table = render(msgspec.json.decode(RESULT.read_bytes(), type=Record))
    PAGE.write_text(page(PAGE.read_text(), table))
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()
