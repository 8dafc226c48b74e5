"""Who says what a text is: on this machine, or a model that is asked."""

from typing import Protocol

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.core.row import TaskTag


class Labelling(msgspec.Struct, frozen=True):
    """What a text is. `language`: None where nothing can be said. `tags`: strongest first; empty where nothing fits."""

    language: str | None
    tags: tuple[TaskTag, ...]


class Labeller(Protocol):
    """`name`: what labels carry as their `labeller`."""

    name: str

    async def label(self, text: str) -> Labelling:
        """Raises LabellerFailed where there is no answer; the text is then forgotten without a label."""
        ...

    async def close(self) -> None: ...


class LabellerFailed(Exception):
    """A text got no label. The message never holds any of it."""


class LocalLabeller:
    """`language.py` and `tasks.py`: no network, about a millisecond a prompt."""

    def __init__(self) -> None:
        """Raises ConfigError where the weights are missing, or of another version."""
        from tidegate.labels.language import detect
        from tidegate.labels.tasks import WeightsError, shipped_model

        try:
            self._detect, self._model = detect, shipped_model()
        except (WeightsError, OSError) as error:
            raise ConfigError(f"the task classifier cannot be used: {error}") from error
        self.name = f"local:{self._model.card.made_from[:12]}"

    async def label(self, text: str) -> Labelling:
        return self.label_now(text)

    def label_now(self, text: str) -> Labelling:
        """The same without a loop."""
        return Labelling(self._detect(text), tuple(self._model.tags(text)))

    async def close(self) -> None:
        return None
