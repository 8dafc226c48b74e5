"""Small public series and how tests read the figures drawn from them."""

import datetime as dt
from collections.abc import Mapping

from tidegate.study.authors import Override
from tidegate.study.facts import Facts
from tidegate.study.figures import run_figures
from tidegate.study.params import Params
from tidegate.study.result import Result

AUTHORS = {
    "cn": Override("CHN", False),
    "tw": Override("TWN", False),
    "us": Override("USA", False),
    "fr": Override("FRA", False),
    "ghost": Override("", True),
    "nobody": Override("", False),
}
BILLION = 10**9

Volumes = Mapping[tuple[dt.date, str], float]  # (day, model) -> billions of tokens


def days(first: str, number: int) -> list[dt.date]:
    """`number` days from an ISO day on."""
    return [dt.date.fromisoformat(first) + dt.timedelta(days=offset) for offset in range(number)]


def draw(facts: Facts, figure: str, params: Params | None = None) -> Result:
    """The one result of a figure."""
    (result,) = run_figures(facts, [figure], params or Params()).results
    return result


def values(result: Result, *groups: str) -> dict[str, int | float | None]:
    """period -> value of the cells with exactly these groups."""
    return {cell.period: cell.value for cell in result.rows if tuple(cell.groups.values()) == groups}
