"""Task categories: which label paths mean which category, and the relation of calls by category."""

from collections.abc import Iterable

from tidegate.catalog.task_paths import OTHER, task_paths
from tidegate.ledger.schema import sql_text
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params, Taxonomy
from tidegate.study.relations import view_of
from tidegate.study.result import NotComputable
from tidegate.study.select import Ask
from tidegate.study.shares import Missing, Table, tabulate

CATEGORIES: tuple[str, ...] = task_paths().categories
PUBLISHED_NAMES = {"marketing/seo": "seo"}  # how public lists spell a category
RULE_WORDS = {
    "top": "each call counts under its surest label",
    "split": "a call of several labels counts in equal parts under each",
    "any": "a call of several labels counts in full under each, so that shares can add up to more than one",
    "published": "categories are as the source published them, by a rule that it does not state",
}


def rule_of(source: Source, params: Params) -> str:
    """How calls of several labels count: as asked for, or as the source has published it."""
    return "published" if source.series else params.label_rule


def rule_text(source: Source, params: Params) -> str:
    """The rule in words, and the version of the mapping from paths."""
    groups = "ranking categories" if params.taxonomy == "ranking" else "buckets of the study's text"
    return f"{RULE_WORDS[rule_of(source, params)]} ({groups}, task_paths.yml version {task_paths().version})"


def categories_of(params: Params) -> tuple[str, ...]:
    """The named groups of the taxonomy that is asked for."""
    return CATEGORIES if params.taxonomy == "ranking" else task_paths().buckets


def category_of(path: str, taxonomy: Taxonomy = "ranking") -> str:
    """The group of a label path, or of a name that a public list uses; `other` for none."""
    if path.startswith("/"):
        return task_paths().category_of(path) if taxonomy == "ranking" else task_paths().bucket_of(path)
    name = PUBLISHED_NAMES.get(path, path)
    return name if name in CATEGORIES else OTHER


def by_category(source: Source, params: Params, where: str = "true", group: str = "tag_path") -> Ask:
    """Ask for the labelled calls, grouped by their path unless said otherwise."""
    if source.series and params.taxonomy != "ranking":
        why = "its categories are the ranking's, and it has no label paths (task_tags) to sort otherwise"
        raise NotComputable("the figure", source.source_id, why)
    rule = f"label_rule = '{rule_of(source, params)}'"
    return Ask(group=group, relation="tags", where=f"{rule} AND ({where})", of="any")


def in_category(figure: str, facts: Facts, source: Source, params: Params, category: str) -> str:
    """The condition that holds for the paths of one category."""
    relation = view_of(figure, facts, source, "tags")
    held = facts.query(f"SELECT DISTINCT tag_path FROM {relation} WHERE source_id = ?", [source.source_id])
    paths = sorted(path for (path,) in held if path and category_of(path, params.taxonomy) == category)
    return f"tag_path IN ({', '.join(map(sql_text, paths))})" if paths else "false"


def unlabelled(figure: str, facts: Facts, source: Source, params: Params, where: str = "true") -> Missing:
    """The part of the measure that no label stands for, weights counted; nothing where labels stand for all."""
    if source.series:
        return Missing()
    base = Ask(group="''", relation="tags", where=f"label_rule = 'base' AND ({where})", of="any")
    labelled = tabulate(figure, facts, source, params, base).total()
    everything = tabulate(figure, facts, source, params, Ask(group="''", where=where, of="any")).total()
    share = max(0.0, 1 - labelled / everything) if everything else 0.0
    return Missing(share, "no task label (each sampled call counted as often as its weight says)")


def named(table: Table, params: Params) -> tuple[Table, list[str], list[str]]:
    """By category, without what is in none: the table, its categories in their order, and a note on what was left."""
    known = categories_of(params)
    whole = table.regrouped(lambda path: category_of(path, params.taxonomy))
    kept = whole.regrouped(lambda name: None if name == OTHER else name)
    present = [name for name in known if kept.total(name)]
    left = whole.share(OTHER)
    notes = [f"{100 * left:.1f} % of what is labelled is in none of the {len(known)} categories and left out."]
    return kept, present, notes if left else []


def base_totals(figure: str, facts: Facts, source: Source, params: Params, where: str = "true") -> Table:
    """All that is labelled, each call once: the denominator where labels overlap."""
    rule = "published" if source.series else "base"
    ask = Ask(group="''", relation="tags", where=f"label_rule = '{rule}' AND ({where})", of="any")
    return tabulate(figure, facts, source, params, ask)


def ordered(names: Iterable[str], params: Params) -> list[str]:
    """Those of the categories that are named, in the order of their taxonomy."""
    held = set(names)
    return [name for name in categories_of(params) if name in held]
