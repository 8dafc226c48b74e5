"""Amounts and tables of an audit, as people read them; used by the terminal and the page."""

from collections.abc import Iterable

from tidegate.accounts.audit.finding import Finding
from tidegate.accounts.audit.result import Audit, ByCause
from tidegate.core.money import NANO_PER_USD, format_usd

Cell = str | int | None
CAUSE_COLUMNS = ("cause", "calls", "charged", "should be", "difference", "how sure")
CALL_COLUMNS = ("where", "model", "charged", "should be", "difference", "why")
CSV_COLUMNS = (
    *("place", "call_id", "day", "model", "provider", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "charged_usd", "should_usd", "difference_usd", "is_at_least"),
    *("cause", "certainty", "price_id", "why"),
)


def usd(amount: int | None) -> str:
    """`$1,234.57`; below a dollar as many decimals as tell something: `$0.0123`, `$0.000045`."""
    if amount is None:
        return "unknown"
    size = abs(amount)
    sign = "-" if amount < 0 else ""
    if size >= NANO_PER_USD:
        return f"{sign}${size / NANO_PER_USD:,.2f}"
    places = 2 if not size else next(n for n in (4, 5, 6, 9) if n == 9 or size * 10**n >= 100 * NANO_PER_USD)
    return f"{sign}${size / NANO_PER_USD:.{places}f}"


def cause_row(part: ByCause) -> list[Cell]:
    """One line of the table by cause."""
    knows = part.calls_unknowable < part.calls
    least = "at least " if part.is_at_least else ""
    return [
        part.title,
        part.calls,
        usd(part.charged_nano_usd),
        f"{least}{usd(part.should_nano_usd)}" if knows else "unknown",
        _difference(part) if knows else "unknown",
        part.sureness(),
    ]


def _difference(part: ByCause) -> str:
    """Above zero what was charged too much, below it too little; both, where calls went both ways."""
    over = f"+{usd(part.over_nano_usd)}" if part.over_nano_usd else ""
    under = usd(-part.under_nano_usd) if part.under_nano_usd else ""
    return " ".join(filter(None, (over, under))) or usd(0)


def call_row(finding: Finding, *, one_file: bool = False) -> list[Cell]:
    """One line of the table of calls. one_file: its name need not be repeated."""
    call, known = finding.call, finding.should_nano_usd is not None
    least = "at least " if finding.is_at_least else ""
    return [
        f"line {call.place.rpartition(':')[2]}" if one_file else call.place,
        call.model,
        usd(call.charged_nano_usd),
        f"{least}{usd(finding.should_nano_usd)}",
        f"{'+' if finding.over_nano_usd > 0 else ''}{usd(finding.over_nano_usd)}" if known else "unknown",
        f"{finding.title} ({finding.certainty})",
    ]


def csv_row(finding: Finding) -> list[str | int | bool | None]:
    """One finding with exact amounts; what nobody can know is empty."""
    call, usage, should = finding.call, finding.call.usage, finding.should_nano_usd
    return [
        call.place,
        call.call_id,
        call.day,
        call.model,
        call.provider or call.provider_said,
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        usage.cache_read_input_tokens if usage and call.has_cache_counts else None,
        usage.cache_creation_input_tokens if usage and call.has_cache_counts else None,
        usage.reasoning_output_tokens if usage and call.has_reasoning_counts else None,
        format_usd(call.charged_nano_usd),
        None if should is None else format_usd(should),
        None if should is None else format_usd(finding.over_nano_usd),
        finding.is_at_least,
        " + ".join(finding.causes),
        finding.certainty,
        finding.price_id,
        finding.why,
    ]


def headline(audit: Audit) -> str:
    """The result in one sentence."""
    sums = audit.sums
    if not audit.wrong:
        if not sums.right:
            return f"None of {sums.calls:,} calls could be checked; {usd(sums.charged_nano_usd)} charged."
        left = f"; {sums.unchecked:,} could not be checked" if sums.unchecked else ""
        return f"All is right in {sums.right:,} calls, {usd(sums.charged_nano_usd - sums.unchecked_nano_usd)} charged{left}."
    parts = []
    if audit.over_nano_usd:
        parts.append(f"{usd(audit.over_nano_usd)} too much")
    if audit.under_nano_usd:
        parts.append(f"{usd(audit.under_nano_usd)} too little")
    said = " and ".join(parts) or "nothing that could be told in money"
    return (
        f"{sums.calls:,} calls, {usd(sums.charged_nano_usd)} charged; {said}. "
        f"As far as it can be known it should have been {usd(audit.should_nano_usd)}."
    )


def remarks(audit: Audit) -> Iterable[str]:
    """What the sums leave open."""
    sums = audit.sums
    if audit.unknowable:
        yield (
            f"{audit.unknowable:,} calls cannot be put right from this log: it does not record what would tell the "
            "amount. They are in no sum."
        )
    if sums.cache_unsaid:
        yield (
            f"{sums.cache_unsaid:,} calls counted as right say nothing of cached tokens: if all of their input was "
            f"cached, they were charged {usd(sums.cache_unsaid_nano_usd)} too much; how much was, it does not tell."
        )
    if sums.unchecked:
        yield f"{sums.unchecked:,} calls ({usd(sums.unchecked_nano_usd)}) could not be checked, for the reasons below."
    if abs(sums.rounding_nano_usd) >= 1000:
        word = "up" if sums.rounding_nano_usd > 0 else "down"
        yield f"rounding in the log moved right charges {word} by {usd(abs(sums.rounding_nano_usd))} in all"
