"""Chart of `volume_by_type`: amounts by kind of model."""

from tidegate.report.oss_split import LABELS
from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_values
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Stacked bars from zero."""
    return stacked_values(result, "source_type", labels=LABELS)
