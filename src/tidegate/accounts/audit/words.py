"""Amounts and tables of an audit, as people read them; used by the terminal and the page."""

from collections.abc import Iterable

from tidegate.accounts.audit.finding import Finding
from tidegate.accounts.audit.result import Audit, ByCause
from tidegate.accounts.audit.tongue import cause, say
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
        return say("unknown")
    size = abs(amount)
    sign = "-" if amount < 0 else ""
    if size >= NANO_PER_USD:
        return f"{sign}${size / NANO_PER_USD:,.2f}"
    places = 2 if not size else next(n for n in (4, 5, 6, 9) if n == 9 or size * 10**n >= 100 * NANO_PER_USD)
    return f"{sign}${size / NANO_PER_USD:.{places}f}"


def cause_row(part: ByCause) -> list[Cell]:
    """One line of the table by cause."""
    knows = part.calls_unknowable < part.calls
    least = say("at least ") if part.is_at_least else ""
    return [
        part.title,
        part.calls,
        usd(part.charged_nano_usd),
        f"{least}{usd(part.should_nano_usd)}" if knows else say("unknown"),
        _difference(part) if knows else say("unknown"),
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
    least = say("at least ") if finding.is_at_least else ""
    return [
        f"line {call.place.rpartition(':')[2]}" if one_file else call.place,
        call.model,
        usd(call.charged_nano_usd),
        f"{least}{usd(finding.should_nano_usd)}",
        f"{'+' if finding.over_nano_usd > 0 else ''}{usd(finding.over_nano_usd)}" if known else say("unknown"),
        f"{told_causes(finding)} ({say(finding.certainty)})",
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


def told_causes(finding: Finding) -> str:
    """A finding's causes, as titles."""
    return ", ".join(cause(name).title for name in finding.causes)


def headline(audit: Audit) -> str:
    """The result in one sentence."""
    sums = audit.sums
    calls, charged = f"{sums.calls:,}", usd(sums.charged_nano_usd)
    if not audit.wrong and not sums.right:
        return say("None of {calls} calls could be checked; {charged} charged.", calls=calls, charged=charged)
    if not audit.wrong:
        told = say(
            "All is right in {calls} calls, {charged} charged.",
            calls=f"{sums.right:,}",
            charged=usd(sums.charged_nano_usd - sums.unchecked_nano_usd),
        )
        left = say(" {calls} could not be checked.", calls=f"{sums.unchecked:,}") if sums.unchecked else ""
        return told + left
    parts = []
    if audit.over_nano_usd:
        parts.append(say("{amount} too much", amount=usd(audit.over_nano_usd)))
    if audit.under_nano_usd:
        parts.append(say("{amount} too little", amount=usd(audit.under_nano_usd)))
    return say(
        "{calls} calls, {charged} charged; {said}. As far as it can be known it should have been {should}.",
        calls=calls,
        charged=charged,
        said=say(" and ").join(parts) or say("nothing that could be told in money"),
        should=usd(audit.should_nano_usd),
    )


def remarks(audit: Audit) -> Iterable[str]:
    """What the sums leave open."""
    sums = audit.sums
    if audit.unknowable:
        yield say(
            "{calls} calls cannot be put right from this log: it does not record what would tell the amount. They are "
            "in no sum.",
            calls=f"{audit.unknowable:,}",
        )
    if sums.cache_unsaid:
        yield say(
            "{calls} calls counted as right say nothing of cached tokens: if all of their input was cached, they were "
            "charged {amount} too much; how much was, it does not tell.",
            calls=f"{sums.cache_unsaid:,}",
            amount=usd(sums.cache_unsaid_nano_usd),
        )
    if sums.unchecked:
        yield say(
            "{calls} calls ({amount}) could not be checked, for the reasons below.",
            calls=f"{sums.unchecked:,}",
            amount=usd(sums.unchecked_nano_usd),
        )
    if abs(sums.rounding_nano_usd) >= 1000:
        moved = usd(abs(sums.rounding_nano_usd))
        if sums.rounding_nano_usd > 0:
            yield say("rounding in the log moved right charges up by {amount} in all", amount=moved)
        else:
            yield say("rounding in the log moved right charges down by {amount} in all", amount=moved)
