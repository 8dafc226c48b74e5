"""Days on which a provider's dearer hours do not come, by the calendar that publishes them: `days_off.csv`."""

from datetime import date, timedelta
from pathlib import Path
from typing import Final

from tidegate.catalog.tables import read_lines
from tidegate.core.errors import CatalogError

DAYS_OFF: Final = "days_off.csv"
DAYS_OFF_COLUMNS: Final = ("calendar", "first", "last", "name", "source", "checked")


def read_calendars(folder: Path) -> dict[str, tuple[str, ...]]:
    """Every calendar's days off as ISO dates, ascending. Raises CatalogError naming the line."""
    path = folder / DAYS_OFF
    found: dict[str, set[str]] = {}
    for number, line in enumerate(read_lines(path, DAYS_OFF_COLUMNS), start=2):
        try:
            calendar, first_text, last_text, _, _, _ = line.split(",")
            first, last = date.fromisoformat(first_text), date.fromisoformat(last_text)
        except ValueError as error:
            raise CatalogError(f"{path}:{number}: {error}; columns are {','.join(DAYS_OFF_COLUMNS)}") from error
        days = ((first + timedelta(days=day)).isoformat() for day in range((last - first).days + 1))
        found.setdefault(calendar, set()).update(days)
    return {calendar: tuple(sorted(days)) for calendar, days in found.items()}
