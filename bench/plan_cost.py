"""What planning costs: one call among 10 and among 100 endpoints of its model, with 1,000 models.

    .venv/bin/python bench/plan_cost.py

Plain: drawn by price. Policies: three bind the caller, and half of the endpoints are unknown to them. Conversations:
each call goes on with one of 5,000, whose prompt is known to be cached somewhere. Wishes: the request has a `provider`
object. Calls differ in model, length and limit; every thousand calls a second passes, one endpoint breaks down and
another recovers. CPU time of this process; each case is run five times over the same calls; the middle one is told with
the least and the most, and its answers are checked against the slow way before anything is timed.
"""

import json
import platform
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("src", "tests")]

from rig.endpoints import endpoint, planner  # noqa: E402
from tidegate.core.routing_settings import PolicyConfig  # noqa: E402
from tidegate.route.planner import Call, Planner  # noqa: E402
from tidegate.route.wishes import read_wishes  # noqa: E402

MODELS, CALLS, RUNS, SEED = 1000, 20_000, 5, 20261122
HEALTH_EVERY = 1000
TARGET_US = {10: 10.0, 100: 40.0}
RESULTS = Path(__file__).parent / "results" / "plan_cost.json"
POLICIES = {
    "everyone": PolicyConfig(processing=("EU",)),
    "tenant": PolicyConfig(no_training=True),
    "key": PolicyConfig(retention_days_max=30),
}


def shelf(count: int, rng: random.Random, *, bound: bool) -> Planner:
    """1,000 models with so many endpoints each."""
    facts = [
        endpoint(
            f"p{number}", rng.choice((0.5, 1, 2, 3)), usd_out=rng.choice((2, 4, 8)), model=f"m{model}",
            processing=frozenset(("DE",)) if number % 2 else None, trains=False, retention_days=0,
            context_tokens=rng.choice((0, 32_000, 128_000)),
        )
        for model in range(MODELS)
        for number in range(count)
    ]  # fmt: skip
    if not bound:
        return planner(*facts, affinity=True)
    return planner(*facts, policies=POLICIES, everyone=("everyone",), affinity=True,
                   tenants={"t": ("tenant",)}, keys={"k": ("key",)})  # fmt: skip


def calls(kind: str, made: Planner, rng: random.Random) -> list[Call]:
    wishes = read_wishes(b'{"ignore":["p3"],"max_price":{"prompt":2.5}}') if kind == "wishes" else read_wishes(b"")
    scope = made.book.scope("t", "p", "k")
    talks = [rng.randrange(5000) for _ in range(CALLS)]
    return [
        Call(
            (f"m{talk % MODELS}",), scope, "", wishes,
            input_tokens=int(rng.lognormvariate(7, 1)), output_tokens=rng.choice((0, 256, 1024)),
            draw=rng.getrandbits(32), keys=(talk * 77_777 + 1,) if kind == "conversations" else (),
        )
        for talk in talks
    ]  # fmt: skip


def check(made: Planner, some: list[Call]) -> None:
    """Nobody is planned whom the terms exclude, and nobody else is left out."""
    for call in some[:200]:
        plan = made.plan(call, 1.0)
        asked = [facts for group in plan.shelf.groups_asked for facts in group]
        permitted = {f.endpoint.endpoint_id for f in asked if not plan.shelf.terms.exclusions(f)}
        assert {one.endpoint_id for one in plan.order} == permitted


def walk(made: Planner, some: list[Call], count: int, now_s: float, *, is_noted: bool = False) -> None:
    """All calls, a thousand a second; each second an endpoint breaks down, and the one before is well again."""
    plan, health = made.plan, made.health
    for number, call in enumerate(some):
        if not number % HEALTH_EVERY:
            now_s += 1.0
            name = f"m{number * 7 % MODELS}@p{number // HEALTH_EVERY % count}"
            for _ in range(5):
                health.fail(name, now_s, "connect")
            for other in list(health.unwell - {name}):
                health.succeed(other, now_s)
        chosen = plan(call, now_s)
        if is_noted and call.keys and made.affinity is not None:
            made.affinity.note(call.keys, chosen.order[0].endpoint_id, call.input_tokens, now_s)


def measure(count: int, kind: str) -> dict[str, Any]:
    rng = random.Random(SEED)
    made = shelf(count, rng, bound=kind == "policies")
    some = calls(kind, made, rng)
    check(made, some)
    walk(made, some, count, 1.0, is_noted=True)  # shelves are compiled once; that is not what a call costs
    found = []
    for run in range(RUNS):
        started = time.process_time()
        walk(made, some, count, 30.0 * run)
        found.append((time.process_time() - started) / CALLS * 1e6)
    return {
        "endpoints": count, "kind": kind, "median_us": round(statistics.median(found), 2),
        "least_us": round(min(found), 2), "most_us": round(max(found), 2), "target_us": TARGET_US[count],
    }  # fmt: skip


def main() -> None:
    rows = [measure(count, kind) for count in TARGET_US for kind in ("plain", "policies", "conversations", "wishes")]
    for row in rows:
        print(
            f"{row['endpoints']:4} {row['kind']:14} {row['median_us']:7.2f} us  ({row['least_us']} - {row['most_us']})"
        )
    result = {"python": platform.python_version(), "calls": CALLS, "runs": RUNS, "models": MODELS, "rows": rows}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
