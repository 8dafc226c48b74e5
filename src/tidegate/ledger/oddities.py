"""Sealed rows that contradict themselves: counted by kind, with an example, and what rollups make of them.

Sealed rows are never changed and never left out in silence: what cannot be true is kept, said here (`tidegate ledger
stat`), and treated as the text of its kind says.
"""

import contextlib
from typing import Final

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.rollup_rows import SAMPLE_WEIGHT_MAX, TOKEN_COLUMNS
from tidegate.ledger.store import Ledger

NEGATIVE: Final = " OR ".join(f"{name} < 0" for name in TOKEN_COLUMNS)
KINDS: Final[dict[str, tuple[str, str]]] = {
    "negative_tokens": (NEGATIVE, "a negative count of tokens; counts as unknown, so such a call adds no tokens"),
    "cached_above_input": (
        "coalesce(usage_cache_read_input_tokens, 0) + coalesce(usage_cache_creation_input_tokens, 0) "
        "> usage_input_tokens",
        "more cached tokens than input; kept as reported: shares of cached tokens may exceed one",
    ),
    "reasoning_above_output": (
        "usage_reasoning_output_tokens > usage_output_tokens",
        "more reasoning tokens than output; kept as reported: output stays what the provider counted",
    ),
    "negative_time": (
        "duration_us < 0 OR time_to_first_chunk_us < 0",
        "a time below zero; in the bucket -1 of latency_histogram, in none of its sums",
    ),
    "negative_cost": (
        "cost_nano_usd < 0 OR upstream_cost_nano_usd < 0",
        "a cost below zero; kept as reported: a refund lowers the sum",
    ),
    "weight_out_of_range": (
        f"tag_sample_weight NOT BETWEEN 1 AND {SAMPLE_WEIGHT_MAX}",
        f"a sample weight that is not between 1 and {SAMPLE_WEIGHT_MAX:,}; counts as 1",
    ),
}
LABEL_WITHOUT_CALL: Final = "label_without_call"


class Oddity(msgspec.Struct, frozen=True, kw_only=True):
    """One kind. calls: rows (or labels) of it. example: the first generation id. text: what it is and what follows."""

    kind: str
    calls: int
    example: str
    text: str


def find_oddities(ledger: Ledger) -> list[Oddity]:
    """Those kinds that occur, in one reading of the sealed rows. Raises LedgerError where they cannot be read."""
    import duckdb

    counted = ", ".join(
        f"count(*) FILTER (WHERE {condition}), min(generation_id) FILTER (WHERE {condition})"
        for condition, _ in KINDS.values()
    )
    with contextlib.closing(ledger.connect()) as connection:
        try:
            (found,) = connection.execute(f"SELECT {counted} FROM rows").fetchall()
            (orphans,) = connection.execute(
                "SELECT count(*), min(generation_id) FROM labels WHERE generation_id NOT IN "
                "(SELECT generation_id FROM rows WHERE generation_id IN (SELECT generation_id FROM labels))"
            ).fetchall()
        except duckdb.Error as error:
            raise LedgerError(
                f"ledger {ledger.path}: its rows cannot be read: {str(error).splitlines()[0]} "
                "(`tidegate ledger verify` names damaged files)"
            ) from error
    text = "a label whose call is not sealed: lost, or still in the journal; in no rollup until its call is"
    pairs = zip((*found[::2], orphans[0]), (*found[1::2], orphans[1]), strict=True)
    kinds = [(kind, told) for kind, (_, told) in KINDS.items()] + [(LABEL_WITHOUT_CALL, text)]
    return [
        Oddity(kind=kind, calls=calls, example=example, text=told)
        for (kind, told), (calls, example) in zip(kinds, pairs, strict=True)
        if calls
    ]
