"""The operator's own exchange rates, by which prices in other currencies are converted; they follow the database."""

from collections.abc import Callable

from sqlalchemy import Connection

from tidegate.accounts.money.fx import own_quotes
from tidegate.accounts.watch import Publish
from tidegate.core.fx import Quote


class OwnRates:
    """In one worker. `read` is a reader of `Watch`."""

    def __init__(self) -> None:
        self.quotes: tuple[Quote, ...] = ()
        self._changed: Callable[[], object] | None = None

    def start(self, changed: Callable[[], object]) -> None:
        """From now on `changed` is called when other rates are known than before."""
        self._changed = changed

    def read(self, connection: Connection) -> Publish | None:
        found = tuple(own_quotes(connection))
        return None if found == self.quotes else lambda: self._put(found)

    def _put(self, quotes: tuple[Quote, ...]) -> None:
        self.quotes = quotes
        if self._changed is not None:
            self._changed()
