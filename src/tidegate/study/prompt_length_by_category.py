"""How long prompts are by what they are about (State of AI, Figure 16)."""

from tidegate.catalog.task_paths import OTHER
from tidegate.study.categories import categories_of, category_of
from tidegate.study.facts import Facts, Source
from tidegate.study.lengths import ALL, lengths_by
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result

NAME = "prompt_length_by_category"
QUESTION = "Which tasks have the longest prompts?"


def prompt_length_by_category(facts: Facts, source: Source, params: Params) -> Result:
    """Mean, median and p90 of input tokens a call by category and week."""

    def group_of(path: str) -> str | None:
        category = OTHER if path == ALL else category_of(path, params.taxonomy)
        return None if category == OTHER else category

    found = lengths_by(NAME, facts, source, params, "input", group_of)
    if not found.n:
        raise NotComputable(NAME, source.source_id, "no call of known length has a task label (task_tags)")
    present = [name for name in categories_of(params) if any(group == name for _, group in found.bars)]
    every = lengths_by(NAME, facts, source, params, "input", lambda path: path if path == ALL else None).n
    return Result(
        figure=NAME,
        definition=(
            "Input tokens a call (cached tokens included) by week and task category: mean, median and 90th "
            "percentile. Each call counts under its surest label, as often as its sampling weight says."
        ),
        source_id=source.source_id,
        window=found.coverage.window,
        rows=tuple(cell for name in present for cell in found.cells("category", name)),
        n=found.n,
        missing_share=max(0.0, 1 - found.n / every) if every else 0.0,
        notes=(
            source.describe(),
            "Weeks begin on Monday, UTC; free and cloaked models and BYOK included.",
            "n counts calls of known length in a category, weights counted; missing are those of none.",
            "Means are exact; median and p90 come from buckets of 7 significant bits.",
            *found.coverage.notes(),
        ),
        unit="tokens a call",
        down=("category", "period"),
    )
