"""docs/reference/torture.md, rendered from what was run."""

from pathlib import Path

import msgspec

from torture.dollar import RESULTS as DOLLARS
from torture.dollar import Spent
from torture.mistakes import NAMES
from torture.run import FOUND, MISTAKES_FOUND, load

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "torture.md"

HEAD = """# Torture: what was run, and what was found

Rendered by `python bench/torture table` from `bench/results/torture*.json`; [how quotas work](../explanation/quotas.md)
says why it should hold. A program is one tenant's random calls, from a seed: streams, disconnects, retries, provider
faults, fallbacks, a voucher redeemed five times at one moment, a key revoked in the middle of its streams, a price that
changes between calls. Sixteen programs run at one time, while workers, the console, PostgreSQL and Valkey are killed,
SQLite is kept busy, workers are stopped for longer than a lease, and workers' clocks stand up to two minutes apart.

After each round: no wallet and no budget spent above its limit; rates within one slice a worker where leases ended, and
exact where none did; each answered call has one row, with what the provider charged for all its attempts; rows, entries
and balances are the same to the nano-USD; and nothing is reserved while the installation goes on. Every fourth round it
is stopped, or killed whole, and started again.

What torture has found is mended, each with a test. In the product, last: a dead worker that had spent all it held cut
every worker off from Redis (nothing to give back was written as `-0`, which is no integer), and rates, counted in the
database and in Redis by turns, ran over. Other alarms were the checks' own, which were mended: a call refused after its
first attempt had failed was counted as made; a provider that was hung up on still counted its stream as open; a call
that died with its worker was looked for before the next worker stood, which recovers it; a whole answer that was on its
way when its key was revoked was taken for a stream; an attempt that died beside one that told its usage was taken for
that one. The last call of a worker that came to nothing left its slice held until another call came: it goes back now.

One alarm is not settled. In three of ten runs of the round of seed 80 on sqlite-4, apart from the runs below, t84
made five requests in a calendar minute of four. In the one that was looked into, attempts that take 20 ms took 3 s: the
workers had stood still for longer than a lease of 2 s, for want of a processor, after which a rate may run over by a
slice a worker. The check counts only blows, and takes such weather for calm.

"""


def page() -> str:
    """The page as the results say it."""
    lines = ["| setting | programs | calls | answered | refused | broken off | blows | restarts | violations |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    ran = load()
    for name, one in ran.items():
        lines.append(
            f"| {name} | {one.programs} | {one.calls:,} | {one.answered:,} | {one.refused:,} | {one.broken:,} | "
            f"{sum(one.blows.values())} | {one.restarts} | {len(one.violations)} |"
        )
    together = [sum(getattr(one, name) for one in ran.values()) for name in
                ("programs", "calls", "answered", "refused", "broken")]  # fmt: skip
    blows = sum(sum(one.blows.values()) for one in ran.values())
    violations = sum(len(one.violations) for one in ran.values())
    cells = " | ".join(f"{number:,}" for number in together)
    restarts = sum(one.restarts for one in ran.values())
    lines.append(f"| together | {cells} | {blows} | {restarts} | {violations} |")
    commits = sorted({commit for one in ran.values() for commit in one.commits})
    lines.append(f"\nOn a machine under other load, at the commits {', '.join(f'`{commit}`' for commit in commits)}.")
    parts = [HEAD, "\n".join(lines), "\n", _violations(), _dollars(), _mistakes()]
    return "".join(parts)


def _violations() -> str:
    found = [text for one in load().values() for text in one.violations]
    if not found:
        return ""
    return "\nWhat was violated:\n\n" + "\n".join(f"- {text}" for text in found) + "\n"


def _dollars() -> str:
    if not DOLLARS.exists():
        return ""
    lines = [
        "\n## A hundred callers, one dollar\n",
        "Four processes; each caller calls until it is refused. `exact`: `max_tokens` is the length of the answer;",
        "`wide`: sixteen times that; `none`: not given, so the last calls are clamped to what is left.\n",
        "| setting | max_tokens | spent, nano-USD | of the dollar | answered | clamped | operator's loss | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in msgspec.json.decode(DOLLARS.read_bytes(), type=list[Spent]):
        part = f"{one.spent / 1e7:.2f} %"
        lines.append(
            f"| {one.setting} | {one.limit} | {one.spent:,} | {part} | {one.answered} | {one.clamped} | "
            f"{one.operator_loss} | {one.seconds} |"
        )
    return "\n".join(lines) + "\n"


def _mistakes() -> str:
    if not MISTAKES_FOUND.exists():
        return ""
    found = msgspec.json.decode(MISTAKES_FOUND.read_bytes(), type=dict[str, str])
    lines = [
        "\n## Mistakes made on purpose\n",
        "`python bench/torture mistakes` puts each into the running product (one worker, calm weather); torture has to",
        "find it.\n",
        "| mistake | first thing found |",
        "| --- | --- |",
    ]
    lines += [f"| `{name}` | {FOUND.sub('', found.get(name, '')) or 'not run'} |" for name in NAMES]
    return "\n".join(lines) + "\n"


def write() -> None:
    PAGE.write_text(page())
