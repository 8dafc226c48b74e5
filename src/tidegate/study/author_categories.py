"""What each author's models are used for (State of AI, Figures 23 to 28)."""

import datetime as dt

from tidegate.catalog.task_paths import OTHER
from tidegate.study.categories import by_category, category_of, ordered, rule_text, unlabelled
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import Cell, Result
from tidegate.study.shares import Drawn, finish, tabulate

NAME = "author_categories"
QUESTION = "What is each author used for?"
AUTHORS = ("anthropic", "google", "x-ai", "openai", "deepseek", "qwen")  # those of the report, Figures 23 to 28
AUTHORS_MAX = 6
NAMED_ONLY = (
    "The published lists name few authors in each category: where one is not named, its use is unknown and stands as "
    "none here, so an author's shares are of the categories in which it is among the named ones."
)


def author_categories(facts: Facts, source: Source, params: Params) -> Result:
    """Shares by category of each author's labelled measure: the report's authors, then the largest others."""
    group = "concat(coalesce(author, ''), '|', tag_path)"
    table = tabulate(NAME, facts, source, params, by_category(source, params, group=group))
    sums: dict[tuple[dt.date, str], dict[str, int]] = {}
    for period, groups in table.sums.items():
        for name, value in groups.items():
            author, _, path = name.partition("|")
            category = category_of(path, params.taxonomy)
            if author and category != OTHER and value:
                held = sums.setdefault((period, author), {})
                held[category] = held.get(category, 0) + value
    totals: dict[str, int] = {}
    for (_, author), held in sums.items():
        totals[author] = totals.get(author, 0) + sum(held.values())
    ranked = sorted(totals, key=lambda author: (-totals[author], author))
    named = [author for author in AUTHORS if author in totals]
    authors = (named + [author for author in ranked if author not in AUTHORS])[:AUTHORS_MAX]
    present = ordered((category for held in sums.values() for category in held), params)
    rows = []
    for period in table.coverage.kept:
        for author in authors:
            held = sums.get((period, author), {})
            whole = sum(held.values())
            rows += [
                Cell(
                    period=period.isoformat(),
                    groups={"author": author, "category": category},
                    value=held.get(category, 0),
                    share=held.get(category, 0) / whole if whole else None,
                )
                for category in present
            ]
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            of="labelled calls",
            definition=(
                f"Share of each author's labelled {params.measure} in each {params.grain} by category: "
                f"{rule_text(source, params)}. Labels in no category are left out."
            ),
            rows=tuple(rows),
            missing=unlabelled(NAME, facts, source, params),
            notes=[NAMED_ONLY] if source.series else [],
            down=("author", "period"),
        ),
    )
