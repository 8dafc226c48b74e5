"""What one tenant does, from a seed: the same seed is the same program on every machine."""

from random import Random
from typing import Literal

import msgspec

Script = Literal["ok", "slow", "over", "silent", "error", "busy", "hang_up", "cut", "garbage", "costly"]
SCRIPTS: list[Script] = ["ok", "slow", "over", "silent", "error", "busy", "hang_up", "cut", "garbage", "costly"]
WEIGHTS = [50, 16, 5, 4, 5, 3, 4, 4, 3, 6]
LENGTH_S = 3.0
USERS = ("ann", "bob")

INPUT_TOKENS = 20
INPUT_NANO, OUTPUT_NANO = 2_000, 10_000  # nano-USD a token: 2 and 10 USD a million


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call. leave_s: the caller hangs up so long after it began; None: it stays. is_dear: of model `dear`."""

    request_id: str
    at_s: float
    key: int
    script: Script
    output_tokens: int
    is_stream: bool
    max_tokens: int | None = None
    leave_s: float | None = None
    is_free: bool = False
    user: str = ""
    is_retried: bool = False


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """Money in nano-USD. None: no such quota, or nothing of the kind happens. `*_s`: when, from the round's start."""

    seed: int
    tenant_id: str
    credits: int
    day_limit: int | None
    user_day_limit: int | None
    requests_a_minute: int | None
    tokens_a_minute: int | None
    calls_open: int | None
    is_rolling: bool
    voucher: int
    voucher_s: float | None
    revoke_s: float | None
    reprice_s: float | None
    margin_ppm: int
    calls: tuple[Call, ...]


def make_program(seed: int) -> Program:
    """The program of a seed. Credits last for about half of its calls."""
    draw = Random(f"program-{seed}")
    tenant_id = f"t{seed}"
    calls = tuple(_call(draw, f"{tenant_id}-{number}") for number in range(draw.randint(20, 45)))
    wanted = sum(INPUT_TOKENS * INPUT_NANO + call.output_tokens * OUTPUT_NANO for call in calls)
    return Program(
        seed=seed,
        tenant_id=tenant_id,
        credits=int(wanted * draw.choice([0.1, 0.4, 0.8, 3.0])) + 1,
        day_limit=int(wanted * draw.uniform(0.1, 0.6)) if draw.random() < 0.5 else None,
        user_day_limit=int(wanted * draw.uniform(0.05, 0.3)) if draw.random() < 0.4 else None,
        requests_a_minute=draw.randint(3, 30) if draw.random() < 0.5 else None,
        tokens_a_minute=draw.randint(1000, 8000) if draw.random() < 0.4 else None,
        calls_open=draw.randint(2, 6) if draw.random() < 0.4 else None,
        is_rolling=draw.random() < 0.3,
        voucher=int(wanted * draw.uniform(0.05, 0.3)) + 1,
        voucher_s=draw.uniform(0, LENGTH_S) if draw.random() < 0.5 else None,
        revoke_s=draw.uniform(0.2, LENGTH_S) if draw.random() < 0.3 else None,
        reprice_s=draw.uniform(0.2, LENGTH_S) if draw.random() < 0.3 else None,
        margin_ppm=draw.choice([-300_000, 250_000, 1_000_000]),
        calls=calls,
    )


def _call(draw: Random, request_id: str) -> Call:
    is_stream = draw.random() < 0.5
    output_tokens = draw.choice([1, 16, 60, 200, 400])
    return Call(
        request_id=request_id,
        at_s=draw.choice([0.0, draw.uniform(0, LENGTH_S), draw.uniform(0, LENGTH_S)]),
        key=draw.randrange(2),
        script=draw.choices(SCRIPTS, WEIGHTS)[0],
        output_tokens=output_tokens,
        is_stream=is_stream,
        max_tokens=draw.choice([None, None, output_tokens, max(1, output_tokens // 2), 1000]),
        leave_s=draw.uniform(0.01, 1.0) if draw.random() < 0.2 else None,
        is_free=draw.random() < 0.08,
        user=draw.choice(("", *USERS)),
        is_retried=draw.random() < 0.3,
    )
