"""Replicas of one model with endless prefix caches, and a trace of calls sent to them by the planner."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from rig.endpoints import planner
from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.facts import Endpoint
from tidegate.core.price import Price, Rates
from tidegate.route.affinity import work_of
from tidegate.route.planner import Call

BLOCK_TOKENS = 512  # of Mooncake's `hash_ids`
SEED = 20261122


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a trace. Imbalance is the maximum over the mean: of work (fresh input and weighted output), calls,
    and tokens."""

    calls: int
    input_tokens: int
    hit_tokens: int
    hit_tokens_possible: int  # of one endless cache
    work_imbalance: float
    call_imbalance: float
    token_imbalance: float


def replica(number: int) -> EndpointFacts:
    price = Price(price_id="m#", rates=Rates(input=10**9, output=4 * 10**9, cache_read=10**8))
    own = Endpoint(endpoint_id=f"m@r{number}", provider=f"r{number}", model="m", upstream_model="m", price=price)
    return EndpointFacts(endpoint=own, tag=f"r{number}")


def known(cache: set[int], blocks: Sequence[int], tokens: int) -> int:
    """Tokens of the prompt that a cache holds: its leading blocks that are in it."""
    count = 0
    while count < len(blocks) and blocks[count] in cache:
        count += 1
    return min(count * BLOCK_TOKENS, tokens)


def imbalance(loads: Iterable[int]) -> float:
    found = list(loads)
    return max(found) * len(found) / sum(found)


def simulate(rows: Sequence[dict[str, Any]], *, replicas: int, affinity: bool) -> Simulated:
    """rows: of Mooncake's trace, in order of time."""
    made, rng = planner(*(replica(number) for number in range(replicas)), affinity=affinity), random.Random(SEED)
    names = [one.endpoint.endpoint_id for one in made.models["m"]]
    caches: dict[str, set[int]] = {name: set() for name in names}
    work, calls, tokens = (dict.fromkeys(names, 0) for _ in range(3))
    endless: set[int] = set()
    hit = possible = 0
    for row in rows:
        now_s, entered, left, blocks = (
            row["timestamp"] / 1000,
            row["input_length"],
            row["output_length"],
            row["hash_ids"],
        )
        keys = tuple(block * 2654435761 + 1 for block in blocks) if affinity else ()
        call = Call(("m",), input_tokens=entered, output_tokens=left, draw=rng.getrandbits(32), keys=keys)
        chosen = made.plan(call, now_s).order[0].endpoint_id
        found = known(caches[chosen], blocks, entered)
        hit, possible = hit + found, possible + known(endless, blocks, entered)
        caches[chosen].update(blocks)
        endless.update(blocks)
        if made.affinity is not None:
            made.affinity.note(keys, chosen, entered, now_s)
        made.health.load(chosen, work_of(entered - found, left), now_s)
        work[chosen] += work_of(entered - found, left)
        calls[chosen] += 1
        tokens[chosen] += entered + left
    return Simulated(
        calls=len(rows), input_tokens=sum(row["input_length"] for row in rows), hit_tokens=hit,
        hit_tokens_possible=possible, work_imbalance=imbalance(work.values()),
        call_imbalance=imbalance(calls.values()), token_imbalance=imbalance(tokens.values()),
    )  # fmt: skip
