"""How much longer programming calls are than all calls (State of AI, Figure 18)."""

from tidegate.study.categories import category_of
from tidegate.study.facts import Facts, Source
from tidegate.study.lengths import ALL, lengths_by
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result

NAME = "programming_length"
QUESTION = "How much longer are programming calls than others?"
PROGRAMMING, EVERY = "programming", "all calls"


def programming_length(facts: Facts, source: Source, params: Params) -> Result:
    """Mean, median and p90 of input plus output tokens: programming beside all calls."""

    def group_of(path: str) -> str | None:
        if path == ALL:
            return EVERY
        return PROGRAMMING if category_of(path, params.taxonomy) == PROGRAMMING else None

    found = lengths_by(NAME, facts, source, params, "total", group_of)
    counted = sum(bar.calls for (_, group), bars in found.bars.items() if group == PROGRAMMING for bar in bars)
    if not counted:
        raise NotComputable(NAME, source.source_id, "no call of known length is labelled programming (task_tags)")
    ratios = [
        ours / theirs
        for week in found.coverage.kept
        if (ours := found.statistic(week, PROGRAMMING, "mean")) and (theirs := found.statistic(week, EVERY, "mean"))
    ]
    notes = [f"Programming calls are {ratios[-1]:.1f} times as long as all calls in the last week, by the mean."]
    return Result(
        figure=NAME,
        definition=(
            "Input plus output tokens a call by week, of calls labelled programming (surest label, sampling weights "
            "counted) and of all calls, programming among them: mean, median and 90th percentile."
        ),
        source_id=source.source_id,
        window=found.coverage.window,
        rows=tuple(cell for group in (PROGRAMMING, EVERY) for cell in found.cells("calls", group)),
        n=counted,
        missing_share=0.0,
        notes=(
            *(notes if ratios else ()),
            source.describe(),
            "Weeks begin on Monday, UTC; free and cloaked models and BYOK included.",
            "n counts programming calls, weights counted.",
            "Means are exact; median and p90 come from buckets of 7 significant bits.",
            *found.coverage.notes(),
        ),
        unit="tokens a call",
    )
