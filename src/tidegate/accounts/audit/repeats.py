"""Calls that stand in the logs more than once: exports that overlap, or one call charged twice."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.finding import Finding

ALIKE_TOKENS_MIN: Final = 100
"""Calls without an id in common are only taken for one above so many tokens: short ones may well be alike."""
SECOND_US: Final = 1_000_000


class Repeats:
    """Knows the calls that were seen."""

    def __init__(self) -> None:
        self._form = ""
        self._by_id: dict[tuple[str, str], tuple[bytes, str]] = {}
        self._moments: dict[tuple[int, str, int, int], str] = {}
        self._overlaps = 0
        self._before: set[bytes] = set()  # records of earlier files that have no id
        self._here: set[bytes] = set()

    def begin_file(self, form: str) -> None:
        """form: ids are of one system; another may use the same."""
        self._form = form
        self._before |= self._here
        self._here = set()

    def seen(self, call: LoggedCall, members: Mapping[str, Any]) -> Finding | Literal["", "again"]:
        """`again`: the same record, exported twice. A finding: the same call, charged a second time. Empty: new."""
        content = hashlib.blake2b(repr(sorted(members.items(), key=str)).encode(), digest_size=12).digest()
        if not call.call_id:
            self._here.add(content)
            if content in self._before:
                self._overlaps += 1
                return "again"
            return ""
        first = self._by_id.setdefault((self._form, call.call_id), (content, call.place))
        if first[1] != call.place:
            if first[0] == content:
                self._overlaps += 1
                return "again"
            if call.charged_nano_usd > 0 and not call.is_failed:
                why = f"the log holds id {call.call_id} already, at {first[1]}, with other values"
                return Finding(call=call, causes=("charged_twice",), certainty="likely", why=why, should_nano_usd=0)
            return ""
        return self._at_one_moment(call)

    def _at_one_moment(self, call: LoggedCall) -> Finding | Literal[""]:
        """Another id, but the same microsecond, model and counts: most likely one call, logged by two hands."""
        usage = call.usage
        if usage is None or usage.output_tokens < 1 or usage.total_tokens < ALIKE_TOKENS_MIN or not call.ts % SECOND_US:
            return ""
        key = (call.ts, call.model, usage.input_tokens, usage.output_tokens)
        first = self._moments.setdefault(key, call.place)
        if first == call.place or call.charged_nano_usd <= 0:
            return ""
        why = f"began in the same microsecond as {first}, with the same model and the same counts"
        return Finding(call=call, causes=("charged_twice",), certainty="possible", why=why, should_nano_usd=0)

    def notes(self) -> Iterator[str]:
        if self._overlaps:
            yield f"records that stand in the files more than once, word for word: counted once ({self._overlaps})"
