"""The audit as one HTML file that opens from disk: everything it needs is inside, and no address outside."""

import datetime as dt
import importlib.resources
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from tidegate import __version__
from tidegate.accounts.audit.finding import Finding
from tidegate.accounts.audit.result import Audit, ByCause, ByDay, ByModel
from tidegate.accounts.audit.tongue import language_tag, say
from tidegate.accounts.audit.words import headline, remarks, told_causes, usd

CALLS_SHOWN: Final = 100
MODELS_SHOWN: Final = 40
METHOD: Final = (
    "Each call's logged tokens are held against the published price of its model, provider and day. Where the charge "
    "is another, each known mistake is worked out; the one that gives exactly the logged amount is named. A margin "
    "that all calls of a model bear is told apart."
)
SURE_TEXTS: Final = (
    ("certain", "follows from what the log itself records"),
    ("likely", "the logged amount is what exactly this mistake gives at the published price"),
    ("possible", "it fits, but so would something else, or the provider or its price is a guess"),
    ("unknowable", "something is amiss, and the log lacks what would tell the amount; in no sum"),
)


def render(audit: Audit, label: str = "", now: dt.datetime | None = None) -> str:
    """The page. label: what stands above the title, where the log is no real one. now: UTC."""
    moment = (now or dt.datetime.now(dt.UTC)).strftime("%Y-%m-%d %H:%M UTC")
    style = (importlib.resources.files("tidegate.accounts.audit") / "page.css").read_text("utf-8")
    badge = f'<p class="label">{escape(label)}</p>' if label else ""
    days = f"{audit.days[0].day} – {audit.days[-1].day}" if audit.days else ""
    parts = [
        _numbers(audit),
        _causes([part for part in audit.by_cause() if part.is_mistake]),
        _apart([part for part in audit.by_cause() if not part.is_mistake]),
        _days(audit.days),
        _models(audit.models),
        _calls(list(audit.mistakes())),
        _method(audit),
    ]
    return (
        f'<!doctype html>\n<html lang="{language_tag()}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{say('Audit of {calls} calls', calls=f'{audit.sums.calls:,}')}</title>\n"
        f"<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header>{badge}<h1>{escape(headline(audit))}</h1>\n"
        f'<p class="quiet">{"<br>".join(escape(file) for file in audit.files)}<br>{days}</p></header>\n'
        f"<main>\n{''.join(filter(None, parts))}</main>\n"
        f"<footer>tidegate {__version__}, {moment}. "
        f"{say('Nothing of the log left this machine, and the page loads nothing.')}</footer>\n</body>\n</html>\n"
    )


def _card(title: str, inner: str, note: str = "") -> str:
    said = f'<p class="quiet">{escape(note)}</p>' if note else ""
    return f'<section class="card"><h2>{escape(say(title))}</h2>{said}\n{inner}</section>\n'


def _numbers(audit: Audit) -> str:
    shown = (
        ("", usd(audit.sums.charged_nano_usd), "charged"),
        ("", usd(audit.should_nano_usd), "should have been, as far as known"),
        ("over", usd(audit.over_nano_usd), "charged too much"),
        ("under", usd(audit.under_nano_usd), "charged too little"),
        ("", f"{audit.wrong:,} / {audit.sums.calls:,}", "calls misbilled"),
        ("", f"{audit.unknowable:,}", "cannot be known from the log"),
    )
    items = "".join(f'<li><b class="{kind}">{value}</b><span>{say(text)}</span></li>' for kind, value, text in shown)
    told = "".join(f"<li>{escape(text)}</li>" for text in remarks(audit))
    return f'<section class="card"><ul class="numbers">{items}</ul>' + (
        f'<ul class="plain">{told}</ul></section>\n' if told else "</section>\n"
    )


def _causes(causes: Sequence[ByCause]) -> str:
    if not causes:
        return ""
    most = max(part.misbilled_nano_usd for part in causes)
    return _card("What went wrong", f'<ul class="causes">{"".join(_cause(part, most) for part in causes)}</ul>')


def _cause(part: ByCause, most: int) -> str:
    least = say("at least ") if part.is_at_least else ""
    amounts = []
    if part.over_nano_usd:
        amounts.append(f'<span class="over">{say("{amount} too much", amount=usd(part.over_nano_usd))}</span>')
    if part.under_nano_usd:
        amounts.append(
            f'<span class="under">{least}{say("{amount} too little", amount=usd(part.under_nano_usd))}</span>'
        )
    if part.calls_unknowable == part.calls:
        told = say("amount unknown ({amount} charged)", amount=usd(part.charged_nano_usd))
        amounts.append(f"<span>{told}</span>")
    return (
        f'<li><div class="cause"><b>{escape(part.title)}</b>{" ".join(amounts)}</div>\n{_bar(part, most)}'
        f'<div class="quiet">{escape(part.text)}</div>\n'
        f'<div class="quiet">{_calls_charged(part)} '
        f'<span class="sure">{escape(part.sureness())}</span></div></li>\n'
    )


def _bar(part: ByCause, most: int) -> str:
    """Too much from the left in one colour, then too little in another; the longest fills the width."""
    if not most or not part.misbilled_nano_usd:
        return ""
    over, under = (
        max(1000 * amount / most, 2) if amount else 0 for amount in (part.over_nano_usd, part.under_nano_usd)
    )
    return (
        '<svg class="bar" viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="1000" height="14"/>'
        f'<rect class="over" width="{over:.1f}" height="14"/>'
        f'<rect class="under" x="{over:.1f}" width="{under:.1f}" height="14"/></svg>\n'
    )


def _apart(causes: Sequence[ByCause]) -> str:
    if not causes:
        return ""
    items = "".join(
        f"<li><b>{escape(part.title)}</b>: {_calls_charged(part)}; {usd(part.should_nano_usd)} "
        f"{say('at the list price')}. {escape(part.text)}</li>"
        for part in causes
    )
    return _card("Told apart: no mistake", f'<ul class="plain">{items}</ul>')


def _days(days: Sequence[ByDay]) -> str:
    """Bars above the line for too much, below it for too little."""
    most = max((max(day.over_nano_usd, day.under_nano_usd) for day in days), default=0)
    if len(days) < 2 or not most:
        return ""
    wide = 1000 / len(days)
    bars = "".join(_day_bar(place * wide, wide, day, most) for place, day in enumerate(days))
    picture = (
        '<svg class="days" viewBox="0 0 1000 200" preserveAspectRatio="none" role="img" '
        f'aria-label="{say("misbilled by day")}">{bars}<line class="axis" x1="0" y1="100" x2="1000" y2="100"/></svg>\n'
        f'<div class="ends"><span>{days[0].day}</span><span>{days[-1].day}</span></div>\n'
        f'<div class="legend"><span><i class="over"></i>{say("too much")}</span>'
        f'<span><i class="under"></i>{say("too little")}</span>'
        f"<span>{say('highest: {amount} a day', amount=usd(most))}</span></div>"
    )
    return _card("By day", picture)


def _day_bar(x: float, wide: float, day: ByDay, most: int) -> str:
    up, down = 98 * day.over_nano_usd / most, 98 * day.under_nano_usd / most
    gap = min(wide * 0.15, 3)
    title = f"<title>{day.day}: +{usd(day.over_nano_usd)} -{usd(day.under_nano_usd)}</title>"
    place = f'x="{x + gap:.2f}" width="{wide - 2 * gap:.2f}"'
    return (
        f"<g>{title}"
        f'<rect class="over" {place} y="{100 - up:.2f}" height="{up:.2f}"/>'
        f'<rect class="under" {place} y="100" height="{down:.2f}"/></g>'
    )


def _models(models: Sequence[ByModel]) -> str:
    rows = [
        (
            model.model,
            model.provider,
            f"{model.calls:,}",
            f"{model.wrong:,}",
            usd(model.charged_nano_usd),
            usd(model.should_nano_usd),
            usd(model.over_nano_usd) if model.over_nano_usd else "",
            usd(model.under_nano_usd) if model.under_nano_usd else "",
        )
        for model in models[:MODELS_SHOWN]
    ]
    hidden = len(models) - MODELS_SHOWN
    more = say("{models} more models are not shown.", models=hidden) if hidden > 0 else ""
    names = ("model", "provider", "calls", "wrong", "charged", "should be", "too much", "too little")
    return _card("By model", _table(names, rows, left=2), more)


def _calls(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    rows = []
    for finding in findings[:CALLS_SHOWN]:
        call, known = finding.call, finding.should_nano_usd is not None
        least = say("at least ") if finding.is_at_least else ""
        kind = "over" if finding.over_nano_usd > 0 else "under"
        rows.append(
            f'<tr><td class="left place">{escape(call.place)}</td><td class="left">{escape(call.day)}</td>'
            f'<td class="left">{escape(call.model)}</td><td>{usd(call.charged_nano_usd)}</td>'
            f"<td>{least}{usd(finding.should_nano_usd)}</td>"
            f'<td class="{kind if known else ""}">{_signed(finding.over_nano_usd) if known else say("unknown")}</td>'
            f'<td class="left long">{escape(told_causes(finding))} <span class="sure">{say(finding.certainty)}</span>'
            f"<small>{escape(finding.why)}</small></td></tr>\n"
        )
    head = "".join(
        f'<th class="{"left" if name in _LEFT else ""}">{say(name)}</th>'
        for name in ("where", "day", "model", "charged", "should be", "difference", "why")
    )
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{"".join(rows)}</tbody></table></div>'
    shown = min(len(findings), CALLS_SHOWN)
    note = say(
        "The {shown} with the largest difference of {all}; all of them: --format csv.",
        shown=shown,
        all=f"{len(findings):,}",
    )
    return _card("Call by call", table, note)


_LEFT: Final = frozenset({"where", "day", "model", "provider", "why"})


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A table whose first `left` columns are texts."""
    head = "".join(f'<th class="{"left" if place < left else ""}">{say(name)}</th>' for place, name in enumerate(names))
    body = "".join(_rows(rows, left))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _rows(rows: Iterable[Sequence[str]], left: int) -> Iterator[str]:
    for row in rows:
        cells = (f'<td class="{"left" if n < left else ""}">{escape(cell)}</td>' for n, cell in enumerate(row))
        yield f"<tr>{''.join(cells)}</tr>\n"


def _method(audit: Audit) -> str:
    terms = "".join(f"<dt>{say(word)}</dt><dd>{say(text)}</dd>" for word, text in SURE_TEXTS)
    notes = "".join(f"<li>{escape(note)}</li>" for note in audit.notes)
    return _card(
        "How this was found",
        f"<p>{say(METHOD)}</p><dl>{terms}</dl>" + (f'<ul class="plain">{notes}</ul>' if notes else ""),
    )


def _signed(amount: int) -> str:
    return f"+{usd(amount)}" if amount > 0 else usd(amount)


def _calls_charged(part: ByCause) -> str:
    return say("calls: {calls}, charged: {amount}", calls=f"{part.calls:,}", amount=usd(part.charged_nano_usd))
