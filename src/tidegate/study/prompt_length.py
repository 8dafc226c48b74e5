"""How long prompts and answers are: mean, median and 90th percentile a call (State of AI, Figures 14, 15 and 17)."""

import datetime as dt
import math
from collections.abc import Sequence

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.periods import Coverage, period_end
from tidegate.study.result import Cell, NotComputable, Result

NAME = "prompt_length"
QUESTION = "How long are prompts and answers?"
STATISTICS = ("mean", "median", "p90")
LENGTHS = ("input", "output", "total")
SIGNIFICANT_BITS = 7  # of the buckets of length_histogram


class Bucket(msgspec.Struct, frozen=True):
    """One bar of a histogram: its smallest length, how many calls, and the sum of their lengths."""

    low: int
    calls: int
    tokens: int


def prompt_length(facts: Facts, source: Source, params: Params) -> Result:
    """Mean (exact), median and p90 (to better than one part in 64) of input, output and total tokens a call."""
    refuse_what_is_not_kept(NAME, facts, source, params)
    rows = facts.query(
        "SELECT week, length_of, bucket, sum(calls), sum(tokens) FROM length_histogram "
        "WHERE source_id = ? AND tag_path = '' GROUP BY ALL ORDER BY ALL",
        [source.source_id],
    )
    coverage = facts.coverage(source, params)
    _refuse_cut_weeks(facts, source, params, coverage)
    kept = set(coverage.kept)
    buckets: dict[tuple[dt.date, str], list[Bucket]] = {}
    for week, length_of, low, calls, tokens in rows:
        if week in kept:
            buckets.setdefault((week, length_of), []).append(Bucket(low, int(calls), int(tokens)))
    n = sum(bucket.calls for (_, length_of), bars in buckets.items() if length_of == "total" for bucket in bars)
    every = _calls(facts, source, coverage.kept)
    missing = (every - n) / every if every else 0.0
    return Result(
        figure=NAME,
        definition=(
            "Tokens a call, by week: mean, median and 90th percentile of the input (cached tokens included), of the "
            "output (reasoning included) and of their sum."
        ),
        source_id=source.source_id,
        window=coverage.window,
        rows=tuple(cell for week in coverage.kept for cell in _cells(week, buckets)),
        n=n,
        missing_share=missing,
        notes=(
            source.describe(),
            "Weeks begin on Monday, UTC; every call counts, free and cloaked models and BYOK included.",
            "n counts calls of known length. Means are exact; median and p90 come from buckets of 7 significant bits.",
            "Lengths are in each provider's own tokenizer.",
            *coverage.notes(),
        ),
        unit="tokens a call",
    )


def refuse_what_is_not_kept(figure: str, facts: Facts, source: Source, params: Params) -> None:
    """Raise NotComputable for what the histogram's key does not hold."""
    held = facts.query("SELECT count(*) FROM length_histogram WHERE source_id = ?", [source.source_id])[0][0]
    if not held:
        why = (
            "it has sums by day, not single calls (length_histogram)"
            if source.kind != "calls"
            else "no call has a length"
        )
        raise NotComputable(figure, source.source_id, why)
    for missing, column in (
        (params.grain != "week" or params.anchor != "monday", "day (length_histogram is kept by Monday week)"),
        (not params.include_free, "model_variant in length_histogram, so free variants cannot be left out"),
        (not params.include_cloaked, "author in length_histogram, so cloaked models cannot be left out"),
        (not params.include_byok, "is_byok in length_histogram, so BYOK cannot be left out"),
        (params.top is not None, "rank of models in length_histogram, so no view but `all`"),
        (params.measure == "spend", "cost in length_histogram"),
    ):
        if missing:
            raise NotComputable(figure, source.source_id, f"there is no {column}")


def _refuse_cut_weeks(facts: Facts, source: Source, params: Params, coverage: Coverage) -> None:
    """A window inside a week cannot be drawn: the week's lengths would bring its other days along."""
    for week in coverage.kept:
        span = [source.source_id, week, period_end(week, "week")]
        days = facts.query("SELECT DISTINCT day FROM facts WHERE source_id = ? AND day BETWEEN ? AND ?", span)
        if any(day not in params.window for (day,) in days):
            raise NotComputable(
                NAME,
                source.source_id,
                f"there is no day in length_histogram, and the window cuts the week of {week}; name whole Monday weeks",
            )


def _calls(facts: Facts, source: Source, weeks: Sequence[dt.date]) -> int:
    """All calls of these weeks, of known length or not."""
    if not weeks:
        return 0
    found = facts.query(
        "SELECT sum(calls) FROM facts WHERE source_id = ? AND day BETWEEN ? AND ?",
        [source.source_id, weeks[0], period_end(weeks[-1], "week")],
    )
    return int(found[0][0] or 0)


def _cells(week: dt.date, buckets: dict[tuple[dt.date, str], list[Bucket]]) -> list[Cell]:
    found = []
    for length_of in LENGTHS:
        bars = buckets.get((week, length_of))
        if bars is None:
            continue
        mean = sum(bar.tokens for bar in bars) / sum(bar.calls for bar in bars)
        for statistic, value in (
            ("mean", round(mean, 2)),
            ("median", quantile(bars, 0.5)),
            ("p90", quantile(bars, 0.9)),
        ):
            groups = {"length_of": length_of, "statistic": statistic}
            found.append(Cell(period=week.isoformat(), groups=groups, value=value))
    return found


def quantile(bars: Sequence[Bucket], q: float) -> int:
    """The value at rank ceil(q n) of a histogram; inside a bucket by linear position, so at most its width away.

    bars: ascending by `low`. 0 < q <= 1.
    """
    rank = max(1, math.ceil(q * sum(bar.calls for bar in bars)))
    below = 0
    for bar in bars:
        if below + bar.calls >= rank:
            return bar.low + int(width(bar.low) * (rank - below - 0.5) / bar.calls)
        below += bar.calls
    raise ValueError("a histogram without calls has no quantile")


def width(low: int) -> int:
    """How many lengths share the bucket that begins at `low`."""
    return 1 if low < 1 << SIGNIFICANT_BITS else 1 << (low.bit_length() - SIGNIFICANT_BITS)
