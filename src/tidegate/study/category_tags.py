"""What the categories are made of: their label paths (State of AI, Figures 21 and 22, and its appendix)."""

from tidegate.study.categories import by_category, categories_of, category_of, rule_text, unlabelled
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.shares import Drawn, finish, tabulate

NAME = "category_tags"
QUESTION = "What are the categories made of?"


def category_tags(facts: Facts, source: Source, params: Params) -> Result:
    """Share of each full label path within its category, over the whole window, largest first."""
    if source.series:
        raise NotComputable(NAME, source.source_id, "it has categories, not label paths (task_tags)")
    table = tabulate(NAME, facts, source, params, by_category(source, params))
    totals = table.totals()
    period = table.coverage.kept[0].isoformat() if table.coverage.kept else ""
    rows: list[Cell] = []
    for category in categories_of(params):
        parts = {
            path: value for path, value in totals.items() if value and category_of(path, params.taxonomy) == category
        }
        whole = sum(parts.values())
        rows.extend(
            Cell(period=period, groups={"category": category, "tag": path}, value=value, share=value / whole)
            for path, value in parts.items()
        )
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            of="labelled calls",
            definition=(
                f"Share of each label path in its category's {params.measure}, over the whole window. A path that ends "
                f"where others go on stands for what no finer label fits. {rule_text(source, params)}."
            ),
            rows=tuple(rows),
            missing=unlabelled(NAME, facts, source, params),
            down=("category", "tag"),
        ),
    )
