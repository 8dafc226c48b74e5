"""Two taxonomies of tasks: Google's paths, and the twelve categories of the public ranking."""

import msgspec
import pytest

from tidegate.catalog.task_paths import PathRule, TaskPaths, task_paths

TWELVE = "programming roleplay marketing seo technology science translation legal finance health trivia academia"


def test_the_twelve_ranking_categories_are_those_of_the_study() -> None:
    assert sorted(task_paths().categories) == sorted(TWELVE.split())


@pytest.mark.parametrize(
    ("path", "category", "bucket"),
    [
        ("/Computers & Electronics/Programming", "programming", "programming"),
        ("/Computers & Electronics/Programming/Development Tools", "programming", "programming"),
        ("/Computers & Electronics/Computer Hardware", "technology", "other"),
        ("/Science/Computer Science", "programming", "programming"),
        ("/Science/Computer Science/Machine Learning & Artificial Intelligence", "science", "programming"),
        ("/Science/Physics", "science", "other"),
        ("/Reference/Language Resources/Foreign Language Resources", "translation", "translation"),
        ("/Adult", "roleplay", "adult"),
        ("/Sports/Team Sports", "other", "other"),
    ],
)
def test_the_longest_prefix_decides(path: str, category: str, bucket: str) -> None:
    """`/Science/Computer Science` is programming although `/Science` is science."""
    assert (task_paths().category_of(path), task_paths().bucket_of(path)) == (category, bucket)


def test_a_prefix_ends_where_a_path_element_ends() -> None:
    """`/Health` says nothing about `/Healthcare Fraud`."""
    assert task_paths().category_of("/Healthcare Fraud") == "other"


def test_every_category_has_a_path() -> None:
    named = {rule.category for rule in task_paths().rules}
    assert named >= set(task_paths().categories)


def test_a_rule_that_names_an_unknown_category_is_refused() -> None:
    mapping = task_paths()
    rule = PathRule(path="/X", category="gardening", bucket="other", basis="ours")
    with pytest.raises(ValueError, match=r"'gardening'.*listed under"):
        msgspec.structs.replace(mapping, rules=(rule,))


def test_two_rules_for_one_path_are_refused() -> None:
    mapping = task_paths()
    with pytest.raises(ValueError, match="two rules for /Adult"):
        TaskPaths(**{**msgspec.structs.asdict(mapping), "rules": (mapping.rules[0], mapping.rules[0])})
