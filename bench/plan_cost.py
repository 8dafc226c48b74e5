"""What planning costs: one call among 10 and among 100 endpoints of its model, with 1,000 models.

    .venv/bin/python bench/plan_cost.py            measures (a minute), writes bench/results/plan_cost.json, renders
    .venv/bin/python bench/plan_cost.py --render   the table of docs/explanation/routing.md from that file

Plain: drawn by price. Policies: three bind the caller, and half of the endpoints are unknown to them. Wishes: the
request has a `provider` object. Conversations: 10,000 of them go on and on, each known by a system prompt that all
share and by up to twelve longer prefixes, or by a name. Mixed: of 50 tenants a fifth are bound by policies, a sixth of
the calls have one of five wishes, half belong to conversations. Models are called as Zipf has it; lengths are
log-normal; limits of answers differ. First of its kind: all that is remembered of a kind of call is worked out.

Every 500 calls half a second has passed, and the planner is told what came of them: latencies, tokens, who now has
which prompt; one endpoint breaks down, and one that was down answers again. CPU time of the plans alone; each case is
run seven times, and the middle one is told with the least and the most. Beside it, in the same run, what any choice by
weight costs at least: a dict's item and `random.choices`. Plans are checked against the slow way before anything is
timed.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("src", "tests")]

import msgspec  # noqa: E402

from harness.machine import machine  # noqa: E402
from harness.setting import now, say  # noqa: E402
from harness.tidegate_gateway import REPOSITORY, commit  # noqa: E402
from rig.endpoints import planner  # noqa: E402
from tidegate.core.endpoint_facts import EndpointFacts  # noqa: E402
from tidegate.core.facts import Endpoint  # noqa: E402
from tidegate.core.price import Price, Rates  # noqa: E402
from tidegate.core.routing_settings import PolicyConfig  # noqa: E402
from tidegate.route import planner as planner_module  # noqa: E402
from tidegate.route.affinity import work_of  # noqa: E402
from tidegate.route.planner import Call, Planner, RoutePlan  # noqa: E402
from tidegate.route.wishes import NO_WISHES, read_wishes  # noqa: E402

RESULT = REPOSITORY / "bench" / "results" / "plan_cost.json"
PAGE = REPOSITORY / "docs" / "explanation" / "routing.md"
BEGIN, END = "<!-- plan-cost:begin -->", "<!-- plan-cost:end -->"
MODELS, CALLS, RUNS, BATCH, TALKS, SEED = 1000, 10_000, 7, 500, 10_000, 20261122
TARGET_US = {10: 10.0, 100: 40.0}
KINDS = ("plain", "policies", "wishes", "conversations", "mixed")
USD = 10**9
POLICIES = {
    "everyone": PolicyConfig(processing=("EU",)),
    "tenant": PolicyConfig(no_training=True),
    "key": PolicyConfig(retention_days_max=30),
}
WISHES = tuple(
    read_wishes(text)
    for text in (
        b'{"ignore":["p3"],"max_price":{"prompt":2.5}}',
        b'{"sort":"price"}',
        b'{"data_collection":"deny"}',
        b'{"order":["p5","p1"]}',
        b'{"sort":"throughput"}',
    )
)


class Row(msgspec.Struct, frozen=True):
    endpoints: int
    kind: str
    median_us: float
    least_us: float
    most_us: float
    target_us: float | None = None


class Record(msgspec.Struct, frozen=True):
    """`is_compiled`: whether the planner was compiled, or is Python."""

    date: str
    commit: str
    cpu: str
    python: str
    load_before: float
    is_compiled: bool
    rows: tuple[Row, ...]


def facts_of(model: int, number: int, rng: random.Random) -> EndpointFacts:
    """An endpoint; most give a discount on what they have cached."""
    usd, provider = rng.choice((0.5, 1, 2, 3)), f"p{number}"
    rates = Rates(input=round(usd * USD), output=rng.choice((2, 4, 8)) * USD,
                  cache_read=round(usd * USD / rng.choice((1, 2, 4, 10))))  # fmt: skip
    own = Endpoint(endpoint_id=f"m{model}@{provider}", provider=provider, model=f"m{model}",
                   upstream_model="m", price=Price(price_id="p", rates=rates))  # fmt: skip
    return EndpointFacts(
        endpoint=own, tag=provider, processing=frozenset(("DE",)) if number % 2 else None, trains=False,
        retention_days=0, context_tokens=rng.choice((0, 0, 32_000, 128_000)),
    )  # fmt: skip


def shelf(count: int, rng: random.Random, kind: str) -> Planner:
    """1,000 models with so many endpoints each."""
    facts = [facts_of(model, number, rng) for model in range(MODELS) for number in range(count)]
    if kind == "policies":
        return planner(*facts, policies=POLICIES, everyone=("everyone",), affinity=True,
                       tenants={"t0": ("tenant",)}, keys={"k": ("key",)})  # fmt: skip
    tenants = {f"t{number}": ("everyone", "tenant") for number in range(10)} if kind == "mixed" else {}
    return planner(*facts, policies=POLICIES, affinity=True, tenants=tenants)


def keys_of(talk: int, more: int) -> tuple[int, ...]:
    """A conversation: named, or a prompt of some blocks, the first of them everybody's. more: by so much it grew."""
    if talk % 5 < 2:
        return ((talk * 0x9E3779B97F4A7C15) & (1 << 64) - 1,)
    return tuple([((talk if depth else 0) * 1_000_003 + depth) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
                  for depth in range(2 + talk % 11 + more)])  # fmt: skip


def calls_of(kind: str, made: Planner, rng: random.Random) -> list[Call]:
    zipf = [1 / (rank + 1) for rank in range(MODELS)]
    models = rng.choices(range(MODELS), zipf, k=TALKS)  # of each conversation
    found = []
    for talk in (rng.randrange(TALKS) for _ in range(CALLS)):
        wishes = WISHES[0] if kind == "wishes" else NO_WISHES
        is_talk, tenant = kind == "conversations", "t0"
        if kind == "mixed":
            wishes = rng.choice(WISHES) if rng.random() < 1 / 6 else NO_WISHES
            is_talk, tenant = rng.random() < 0.5, f"t{rng.randrange(50)}"
        found.append(Call(
            (f"m{models[talk]}",), made.book.scope(tenant, "p", "k"), "", wishes,
            input_tokens=int(rng.lognormvariate(7.5, 1.2)), output_tokens=rng.choice((0, 0, 256, 1024, 4096)),
            draw=rng.getrandbits(32), keys=keys_of(talk, rng.randrange(2)) if is_talk else (),
        ))  # fmt: skip
    return found


def check(made: Planner, some: Sequence[Call]) -> None:
    """Nobody is planned whom the terms exclude, and nobody else is left out."""
    for call in some[:200]:
        plan = made.plan(call, 1.0)
        asked = [facts for group in plan.shelf.groups_asked for facts in group]
        permitted = {f.endpoint.endpoint_id for f in asked if not plan.shelf.terms.exclusions(f)}
        assert {one.endpoint_id for one in plan.order} == permitted


def tell(made: Planner, told: Sequence[tuple[Call, RoutePlan]], now_s: float, rng: random.Random) -> None:
    """What came of a batch: nearly all were answered; one endpoint breaks down, one is well again."""
    for call, plan in told:
        if not plan.order:
            continue
        name = plan.order[0].endpoint_id
        made.health.succeed(name, now_s, latency_us=rng.randint(10**5, 10**6), tokens_per_s=rng.randint(20, 200))
        if call.keys and made.affinity is not None:
            made.affinity.note(call.keys, name, call.input_tokens, now_s)
            made.health.load(name, work_of(call.input_tokens, call.output_tokens), now_s)
    for other in sorted(made.health.unwell)[:1]:
        made.health.succeed(other, now_s)
    broken = rng.choice([plan.order[0].endpoint_id for _, plan in told if plan.order])
    for _ in range(5):
        made.health.fail(broken, now_s, "connect")


def walk(made: Planner, some: Sequence[Call], now_s: float) -> float:
    """All calls, a thousand a second; CPU seconds of the plans."""
    rng, took, plan = random.Random(SEED), 0.0, made.plan
    for begin in range(0, len(some), BATCH):
        batch = some[begin : begin + BATCH]
        now_s += 0.5
        started = time.process_time()
        plans = [plan(call, now_s) for call in batch]
        took += time.process_time() - started
        tell(made, list(zip(batch, plans, strict=True)), now_s, rng)
    return took


def measure(count: int) -> list[Row]:
    rows = [row("weights", count, [floor(count) for _ in range(RUNS)])]
    for kind in KINDS:
        rng = random.Random(SEED)
        made = shelf(count, rng, kind)
        some = calls_of(kind, made, rng)
        check(made, some)
        walk(made, some, 1.0)  # shelves are compiled once; that is not what a call costs
        found = [walk(made, some, 100.0 * (run + 1)) / CALLS * 1e6 for run in range(RUNS)]
        rows.append(row(kind, count, found, TARGET_US[count]))
        say(str(rows[-1]))
    made = shelf(count, random.Random(SEED), "policies")
    firsts = []
    for model in range(MODELS):
        call = Call((f"m{model}",), made.book.scope("t0", "p", "k"), input_tokens=1000)
        started = time.process_time()
        made.plan(call, 1.0)
        firsts.append((time.process_time() - started) * 1e6)
    return [*rows, row("first", count, firsts)]


def floor(count: int) -> float:
    """A dict's item and a choice by weight, in microseconds."""
    rng = random.Random(SEED)
    table = {f"m{model}": ([f"p{n}" for n in range(count)], [rng.random() for _ in range(count)])
             for model in range(MODELS)}  # fmt: skip
    names = rng.choices(list(table), [1 / (rank + 1) for rank in range(MODELS)], k=CALLS)
    started = time.process_time()
    for name in names:
        endpoints, weights = table[name]
        rng.choices(endpoints, weights)
    return (time.process_time() - started) / CALLS * 1e6


def row(kind: str, count: int, found: Sequence[float], target_us: float | None = None) -> Row:
    least, middle, most = (round(value, 2) for value in (min(found), statistics.median(found), max(found)))
    return Row(count, kind, middle, least, most, target_us)


WORDS = {
    "weights": "a dict's item and `random.choices`",
    "plain": "drawn by price",
    "policies": "three policies bind the caller",
    "wishes": "the request has a `provider` object",
    "conversations": "conversations",
    "mixed": "mixed",
    "first": "the first call of its kind",
}


def render(record: Record) -> str:
    """The table, as it stands between its two marks."""
    kind = "compiled" if record.is_compiled else "Python, not compiled"
    lines = [
        f"CPU µs a plan, median of {RUNS} runs (least-most); {record.date[:10]}, {record.cpu}, CPython "
        f"{record.python}, {kind}, load average {record.load_before:g} before the run, commit `{record.commit}`.",
        "",
        f"| calls | {' | '.join(f'{count} endpoints a model' for count in TARGET_US)} |",
        f"| --- |{' ---: |' * len(TARGET_US)}",
    ]
    for name, words in WORDS.items():
        found = [one for one in record.rows if one.kind == name]
        cells = [f"{one.median_us:.1f} ({one.least_us:.1f}-{one.most_us:.1f})" for one in found]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    targets = " | ".join(f"≤ {limit:g}" for limit in TARGET_US.values())
    return "\n".join([*lines, f"| target | {targets} |"])


def page(text: str, table: str) -> str:
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", action="store_true", help="do not measure")
    if not parser.parse_args(arguments).render:
        on, tree, date = machine(), commit(), now()
        rows = [one for count in TARGET_US for one in measure(count)]
        is_compiled = not (planner_module.__file__ or "").endswith(".py")
        python = ".".join(map(str, sys.version_info[:3]))
        record = Record(date, tree, on.cpu, python, on.load_before, is_compiled, tuple(rows))
        RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    table = render(msgspec.json.decode(RESULT.read_bytes(), type=Record))
    PAGE.write_text(page(PAGE.read_text(), table))
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()
