"""Figures of one source, drawn as readings of published values ask for them, each once."""

import msgspec

from tidegate.core.errors import TidegateError
from tidegate.study.facts import Facts, Source
from tidegate.study.figures import FIGURES
from tidegate.study.params import Params
from tidegate.study.periods import Window, parse_window
from tidegate.study.published import Reading
from tidegate.study.reading import Measured, Wanted, read_off
from tidegate.study.result import NotComputable, Result, StudyError

MISSING_MAX = 0.9  # of the measure without the attribute: above, the figure says nothing about the source


class Drawings:
    """Figures of one source, each drawn once for each set of parameters."""

    def __init__(self, facts: Facts, source: Source) -> None:
        self.source = source
        self._facts = facts
        self._drawn: dict[tuple[str, Params], Result | NotComputable | StudyError] = {}

    def draw(self, figure: str, params: Params) -> Result:
        """Raises NotComputable or StudyError, each time the same."""
        if figure not in FIGURES:
            raise StudyError(f"there is no figure {figure!r} in this version")
        if (figure, params) not in self._drawn:
            try:
                self._drawn[figure, params] = FIGURES[figure].draw(self._facts, self.source, params)
            except (NotComputable, StudyError) as error:
                self._drawn[figure, params] = error
        found = self._drawn[figure, params]
        if isinstance(found, Result):
            return found
        raise found

    def read(self, wanted: Wanted, window: Window) -> tuple[Result, Measured]:
        """The figure of a reading, and the number read off it. Raises as `draw`, or Unread."""
        reading = wanted.reading
        params = parameters(reading, window)
        result = self.draw(reading.figure, params)
        if result.missing_share > MISSING_MAX:
            lacking = f"{100 * result.missing_share:.1f} % of its measure lacks what the figure needs"
            raise NotComputable(reading.figure, self.source.source_id, f"{lacking}, so the rest says nothing")
        whole = self.draw(reading.of_figure, params) if reading.of_figure else None
        return result, read_off(result, wanted, whole)


def parameters(reading: Reading, window: Window) -> Params:
    """The parameters of a figure as a reading wants them. Raises StudyError naming the one that does not exist."""
    types = {field.name: field.type for field in msgspec.structs.fields(Params)}
    given: dict[str, object] = {"window": window}
    for name, text in reading.params.items():
        if name not in types:
            raise StudyError(f"published.yml: {reading.figure}: there is no parameter {name!r}; {', '.join(types)}")
        if name == "window":
            given[name] = parse_window(text)
            continue
        try:
            given[name] = msgspec.convert(text, types[name], strict=False)
        except msgspec.ValidationError as error:
            raise StudyError(f"published.yml: {reading.figure}: {name}: {error}") from error
    return msgspec.structs.replace(Params(), **given)


def reason_of(error: TidegateError) -> str:
    """Why there is no number, without the figure's and the source's name where they are said anyway."""
    return str(error).partition(": ")[2] if isinstance(error, NotComputable) else str(error)
