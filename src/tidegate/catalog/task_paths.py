"""What a task path means: its ranking category and its bucket in the study, by `data/task_paths.yml`.

Labels keep the path, never the category: whoever changes a rule re-reads every label ever written.
"""

from collections.abc import Sequence
from functools import cache
from importlib import resources

import msgspec

OTHER = "other"  # classified, but in none of the named groups


class PathRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every path under `path` means, unless a longer rule says otherwise. basis: `stated` or `ours`."""

    path: str
    category: str
    bucket: str
    basis: str


class TaskPaths(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The versioned mapping of content paths to the twelve ranking categories and the study's buckets."""

    version: int
    checked: str
    source: str
    study: str
    categories: tuple[str, ...]
    buckets: tuple[str, ...]
    rules: tuple[PathRule, ...]

    def __post_init__(self) -> None:
        known = {*self.categories, OTHER}, {*self.buckets, OTHER}
        for rule in self.rules:
            if rule.category not in known[0] or rule.bucket not in known[1]:
                raise ValueError(
                    f"task_paths.yml: the rule for {rule.path!r} names category {rule.category!r} and bucket "
                    f"{rule.bucket!r}; name ones that are listed under `categories` and `buckets`, or {OTHER!r}"
                )
        paths = [rule.path for rule in self.rules]
        if twice := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"task_paths.yml: two rules for {', '.join(twice)}; keep one")

    def rule_of(self, path: str) -> PathRule | None:
        """The rule with the longest prefix of `path`, counted in whole path elements; None where none applies."""
        fitting = (rule for rule in self.rules if path == rule.path or path.startswith(f"{rule.path}/"))
        return max(fitting, key=lambda rule: len(rule.path), default=None)

    def category_of(self, path: str) -> str:
        """One of the twelve ranking categories, or `other`."""
        rule = self.rule_of(path)
        return rule.category if rule else OTHER

    def bucket_of(self, path: str) -> str:
        """One of the study's buckets, or `other`."""
        rule = self.rule_of(path)
        return rule.bucket if rule else OTHER

    def paths_in(self, category: str, paths: Sequence[str]) -> list[str]:
        """Those of `paths` that mean this category, in their order."""
        return [path for path in paths if self.category_of(path) == category]


@cache
def task_paths() -> TaskPaths:
    """The mapping as shipped."""
    text = resources.files("tidegate.data").joinpath("task_paths.yml").read_bytes()
    return msgspec.yaml.decode(text, type=TaskPaths)
