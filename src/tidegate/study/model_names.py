"""Figures that rank models: groups by the model's catalog slug, so that spellings and dates do not split one."""

from tidegate.catalog import Catalog
from tidegate.study.authors import REST_OF_LIST
from tidegate.study.shares import Table

NOBODY = ("", *sorted(REST_OF_LIST))  # groups that are no model


def by_slug(table: Table, catalog: Catalog) -> Table:
    """The table with every name of a model replaced by its slug; what a source sums up itself keeps its name."""
    slugs = {
        name: name if name in NOBODY else catalog.resolve(name).model
        for groups in table.sums.values()
        for name in groups
    }
    return table.regrouped(lambda name: slugs[name])
