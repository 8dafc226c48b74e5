"""Calls that stand in the logs more than once: exports that overlap, or one call charged twice."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.finding import Finding

ALIKE_TOKENS_MIN: Final = 100
"""Calls without an id in common are only taken for one above so many tokens: short ones may well be alike."""
SECOND_US: Final = 1_000_000


class _Seen(NamedTuple):
    """Where a call stood first. record: its members, to be compared within one file; said: what it says, anywhere."""

    place: str
    file: int
    record: int
    said: int


class Repeats:
    """Knows the calls that were seen."""

    def __init__(self) -> None:
        self._form = ""
        self._file = 0
        self._by_id: dict[tuple[str, str], _Seen] = {}
        self._moments: dict[tuple[int, str, int, int, int], str] = {}
        self._before: Counter[int] = Counter()  # records without an id of earlier files, by what they say
        self._here: Counter[int] = Counter()
        self._overlaps = 0

    def begin_file(self, form: str) -> None:
        """form: ids are of one system; another may use the same."""
        self._form = form
        self._file += 1
        self._before |= self._here  # the larger count of each
        self._here = Counter()

    def seen(self, call: LoggedCall, members: Mapping[str, Any]) -> Finding | Literal["", "again"]:
        """`again`: the same record, exported twice. A finding: the same call, charged a second time. Empty: new."""
        usage = call.usage
        counts = (usage.input_tokens, usage.output_tokens) if usage else ()
        said = hash((self._form, call.ts, call.model, call.account, call.charged_nano_usd, counts))
        if not call.call_id:
            self._here[said] += 1
            if self._here[said] <= self._before[said]:
                self._overlaps += 1
                return "again"
            return ""
        here = _Seen(call.place, self._file, hash(repr(members)), said)
        first = self._by_id.setdefault((self._form, call.call_id), here)
        if first is here:
            return self._at_one_moment(call)
        if first.record == here.record if first.file == here.file else first.said == here.said:
            self._overlaps += 1
            return "again"
        if call.charged_nano_usd <= 0 or call.is_failed:
            return ""
        why = f"the log holds id {call.call_id} already, at {first.place}, as another record"
        return Finding(call=call, causes=("charged_twice",), certainty="likely", why=why, should_nano_usd=0)

    def _at_one_moment(self, call: LoggedCall) -> Finding | Literal[""]:
        """Another id, but the same moment, model, counts and charge: most likely one call, logged by two hands."""
        usage = call.usage
        if usage is None or usage.output_tokens < 1 or usage.total_tokens < ALIKE_TOKENS_MIN or not call.ts % SECOND_US:
            return ""
        key = (call.ts, call.model, usage.input_tokens, usage.output_tokens, call.charged_nano_usd)
        first = self._moments.setdefault(key, call.place)
        if first == call.place or call.charged_nano_usd <= 0:
            return ""
        why = f"began at the same moment as {first}, with the same model, counts and charge"
        return Finding(call=call, causes=("charged_twice",), certainty="possible", why=why, should_nano_usd=0)

    def notes(self) -> Iterator[str]:
        if self._overlaps:
            yield f"records that stand in the files more than once: counted once ({self._overlaps})"
