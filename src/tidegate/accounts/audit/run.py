"""The audit of some files: every record read once, judged, and summed up."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from tidegate.accounts.audit import litellm_log, one_api_log, openrouter_log
from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.finding import INFORMING, Finding
from tidegate.accounts.audit.form import Log, open_log
from tidegate.accounts.audit.from_row import call_of
from tidegate.accounts.audit.judge import Right, State, judge
from tidegate.accounts.audit.prices import Held, PriceBook, by_the_hour
from tidegate.accounts.audit.repeats import Repeats
from tidegate.accounts.audit.result import Audit, ByDay, ByModel, Summed
from tidegate.accounts.audit.settle import Waiting, model_key, settle_open, settle_zero
from tidegate.accounts.audit.sums import judge_sum
from tidegate.catalog import load_catalog
from tidegate.core.errors import LedgerError
from tidegate.core.price import Price
from tidegate.ledger.imports import helicone, langfuse, openrouter_generation, own_rows
from tidegate.ledger.imports.calls import CallFormat, parts_within
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import Unusable

Progress = Callable[[int, int], None]
OPENROUTER: Final = "openrouter"
FILES_TOLD_MAX: Final = 8
NOT_KEPT: Final = " Nothing of this import was kept."
_DRAFTS: Final = {
    "openrouter-generations": openrouter_generation.draft,
    "tidegate": own_rows.draft,
    "langfuse": langfuse.draft,
    "helicone": helicone.draft,
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user may say. form: of all files; empty: told from each. catalog: folders that win over the shipped."""

    form: str = ""
    quota_per_usd: int = 500_000
    catalog: tuple[Path, ...] = ()


class _Reader(Protocol):
    def __call__(self, members: dict[str, Any], tally: Tally, place: str) -> LoggedCall | None: ...


def audit(files: Sequence[Path], options: Options | None = None, progress: Progress | None = None) -> Audit:
    """Read and judge every call of these files. Raises LedgerError for a file that is no log known here."""
    chosen = options or Options()
    if not files:
        raise LedgerError("no file named: `tidegate audit LOGS...`, or `tidegate audit --sample`")
    run = _Run(chosen, progress)
    try:
        logs = [open_log(file, chosen.form) for file in files]
        for log in logs:
            run.read(log)
    except LedgerError as error:
        raise LedgerError(str(error).removesuffix(NOT_KEPT)) from None  # what the importers' reader adds
    return run.result(logs)


class _Run:
    """The state of one audit."""

    def __init__(self, options: Options, progress: Progress | None) -> None:
        self._options = options
        self._progress = progress
        self._book = PriceBook(load_catalog(options.catalog))
        self._tally = Tally()
        self._repeats = Repeats()
        self._sum = Summed()
        self._models: dict[str, ByModel] = {}
        self._days: dict[str, ByDay] = {}
        self._findings: list[Finding] = []
        self._open: list[Waiting] = []
        self._zero: list[Waiting] = []
        self._charged: Counter[tuple[str, str]] = Counter()
        self._unchecked: Counter[str] = Counter()
        self._guesses: Counter[str] = Counter()

    def read(self, log: Log) -> None:
        reader = _reader(log.form.name, self._options)
        seller = OPENROUTER if log.form.name.startswith(OPENROUTER) else ""
        self._repeats.begin_file(log.form.name)
        for line, members in log.records(self._tally):
            self._tally.read += 1
            if self._progress and not self._tally.read % 2000:
                self._progress(self._tally.read, 0)
            try:
                call = reader(members, self._tally, f"{log.file.name}:{line}")
            except Unusable as error:
                self._tally.refuse(error, log.file, line)
                continue
            if call is not None:
                self._take(call, members, seller)

    def _take(self, call: LoggedCall, members: dict[str, Any], seller: str) -> None:
        provider = self._book.provider_of(call.provider_said)
        call = msgspec.structs.replace(call, provider=provider)
        repeat = self._repeats.seen(call, members)
        if repeat == "again":
            return
        self._sum.calls += call.calls if call.calls > 1 else 1
        self._sum.charged_nano_usd += call.charged_nano_usd + call.extra_nano_usd
        if call.charged_nano_usd:
            self._charged[model_key(call)] += 1
        if isinstance(repeat, Finding):
            self._found(repeat)
            return
        held = self._held(call, seller)
        outcome = judge_sum(call, held) if call.calls > 1 else judge(call, held)
        if held.guess:
            self._guesses[held.guess] += 1
        if isinstance(outcome, Right):
            self._right(call, outcome.should_nano_usd, held.right[0] if held.right else None)
            if outcome.note:
                self._guesses[f"{call.model}: {outcome.note}"] += 1
        elif isinstance(outcome, Finding):
            self._found(outcome)
        elif outcome is State.UNCHECKED:
            self._sum.unchecked += 1
            self._sum.unchecked_nano_usd += call.charged_nano_usd + call.extra_nano_usd
            self._unchecked[_why_unchecked(call, bool(held.right))] += 1
        else:
            (self._zero if outcome is State.ZERO else self._open).append(Waiting(call, held))

    def _held(self, call: LoggedCall, seller: str) -> Held:
        """The prices of a call, by the first of its model's names that has any."""
        suffix = f":{call.variant}" if call.variant else ""
        for name in dict.fromkeys((call.model, *call.other_models, call.model.rpartition("/")[2])):
            held = self._book.held(call.provider, f"{name}{suffix}", call.day, seller)
            if held.right:
                return by_the_hour(held, call.ts, is_sum=call.calls > 1)
        return Held(())

    def _right(self, call: LoggedCall, should: int, price: Price | None) -> None:
        self._sum.right += 1
        self._sum.rounding_nano_usd += call.charged_nano_usd - should
        self._note(call, should, None)
        rates = price.rates_for(call.usage.input_tokens) if price and call.usage else None
        if rates and call.usage and not call.has_cache_counts and rates.cache_read is not None and call.calls == 1:
            self._sum.cache_unsaid += 1
            saving = call.usage.input_tokens * max(rates.input - rates.cache_read, 0) // 1_000_000
            self._sum.cache_unsaid_nano_usd += min(int(saving * call.factor), call.charged_nano_usd)

    def _found(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._note(finding.call, finding.should_nano_usd, finding)

    def _by_model(self, call: LoggedCall) -> ByModel:
        key = f"{call.model}@{call.provider or call.provider_said}".rstrip("@")
        return self._models.setdefault(key, ByModel(model=call.model, provider=call.provider or call.provider_said))

    def _note(self, call: LoggedCall, should: int | None, finding: Finding | None) -> None:
        """Add a judged call to the sums of its model and its day."""
        tells = finding is not None and finding.causes[0] not in INFORMING
        over = finding.over_nano_usd if finding and tells else 0
        for part in (self._by_model(call), self._days.setdefault(call.day, ByDay(day=call.day))):
            part.calls += 1
            part.charged_nano_usd += call.charged_nano_usd
            part.should_nano_usd += call.charged_nano_usd - over
            part.over_nano_usd += max(over, 0)
            part.under_nano_usd += max(-over, 0)
            part.wrong += tells
            part.unknowable += finding is not None and should is None

    def result(self, logs: Sequence[Log]) -> Audit:
        """Judge what had to wait, and sum up."""
        for settled, waiting in (
            (settle_zero(self._zero, self._charged), self._zero),
            (settle_open(self._open), self._open),
        ):
            self._settle(settled, waiting)
        if not self._sum.calls:
            worst = [f"{item.reason} ({item.first})" for item in self._tally.rejections()[:1]]
            skipped = [f"{count} are no calls: {text}" for text, count in self._tally.skipped.items()]
            raise LedgerError(f"{logs[0].file}: no call in it. " + "; ".join(worst + skipped or ["It is empty."]))
        self._findings.sort(key=lambda finding: (-abs(finding.over_nano_usd), finding.call.place))
        return Audit(
            files=_told(logs),
            sums=self._sum,
            findings=tuple(self._findings),
            models=tuple(sorted(self._models.values(), key=lambda part: (-part.misbilled_nano_usd, part.model))),
            days=tuple(sorted(self._days.values(), key=lambda part: part.day)),
            notes=tuple(self._notes()),
        )

    def _settle(self, settled: Iterator[Finding | None], waiting: Sequence[Waiting]) -> None:
        free = 0
        for finding in settled:
            if finding is None:
                free += 1
            else:
                self._found(finding)
        self._sum.right += free

    def _notes(self) -> Iterator[str]:
        rejected = self._tally.rejections()
        for item in rejected:
            yield f"left out, unreadable: {item.reason} ({item.count}); first {item.first}"
        for text, count in self._tally.skipped.items():
            yield f"left out, no call: {text} ({count})"
        yield from self._repeats.notes()
        for why, count in self._unchecked.most_common(12):
            yield f"not checked: {why} ({count} calls)"
        for guess, count in self._guesses.most_common(6):
            yield f"{guess} ({count} calls)"


def _told(logs: Sequence[Log]) -> tuple[str, ...]:
    """What the files were taken for; of a folder of thousands the first few."""
    hidden = len(logs) - FILES_TOLD_MAX
    return (*(log.told() for log in logs[:FILES_TOLD_MAX]), *([f"and {hidden} more files"] if hidden > 0 else []))


def _reader(form: str, options: Options) -> _Reader:
    if form == "litellm":
        return litellm_log.call
    if form == "litellm-days":
        return litellm_log.day
    if form == "one-api":
        return partial(one_api_log.call, quota_per_usd=options.quota_per_usd)
    if form == "openrouter-activity":
        return openrouter_log.call
    if form == "openrouter-days":
        return openrouter_log.day
    return partial(_by_importer, form=CallFormat(name=form, draft=_DRAFTS[form]))


def _by_importer(members: dict[str, Any], tally: Tally, place: str, *, form: CallFormat) -> LoggedCall | None:
    """A call of a format that has an importer and nothing more to say."""
    draft = form.draft(Fields(members, tally), tally)
    if draft is None:
        return None
    row = parts_within(draft.row, tally)
    return call_of(row, place, row.cost_nano_usd or 0, call_id=draft.identity)


def _why_unchecked(call: LoggedCall, has_price: bool) -> str:
    if call.is_own_key:
        return "paid with the caller's own provider key"
    if call.operation not in ("chat", "text_completion", "embeddings"):
        return f"{call.operation} is not charged by the token"
    if call.fixed_nano_usd is not None:
        return "a price for the call, whatever its tokens"
    return "amount not told by tokens" if has_price else f"no price known of {call.model or 'a model without a name'}"
