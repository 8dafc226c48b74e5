"""A statement as one HTML page that opens from disk and prints: nothing is loaded, no script runs."""

import importlib.resources
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from tidegate import __version__
from tidegate.accounts.books.statement import Statement, Usage
from tidegate.accounts.books.statement_words import WORDS, month_words, usd
from tidegate.core.error_words import Language

_COUNTED: Final = ("calls", "input", "cached", "output", "charge")
HTML_LANG: Final = {"en": "en", "zh": "zh-CN"}


def render(found: Statement, language: Language) -> str:
    """The page."""
    words = WORDS[language]
    style = (importlib.resources.files("tidegate.accounts.books") / "statement.css").read_text("utf-8")
    title = f"{words['title']} · {month_words(found.month, language)}"
    name = found.tenant_name if found.tenant_name == found.tenant_id else f"{found.tenant_name} ({found.tenant_id})"
    so_far = f'<p class="label">{escape(words["so_far"])}</p>' if found.is_open else ""
    parts = [_numbers(found, language), _credits(found, language), _models(found, language), _days(found, language)]
    return (
        f'<!doctype html>\n<html lang="{HTML_LANG[language]}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} · {escape(name)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1>\n"
        f'<p class="quiet">{escape(words["account"])}: <b>{escape(name)}</b></p>{so_far}</header>\n'
        f"<main>\n{''.join(parts)}</main>\n{_footer(found, language)}</body>\n</html>\n"
    )


def _numbers(found: Statement, language: Language) -> str:
    words = WORDS[language]
    shown = (
        ("", found.opening_nano_usd, words["opening"]),
        ("in", found.credited_nano_usd, words["credited"]),
        ("out", -found.charged_nano_usd, words["charged"]),
        ("end", found.closing_nano_usd, words["closing"]),
    )
    items = []
    for style, amount, label in shown:
        other = found.worth(amount)
        also = f"<small>≈ {other.currency} {escape(str(other)).replace('-', '−')}</small>" if other is not None else ""
        owed = f" ({words['owed']})" if style == "end" and amount < 0 else ""
        items.append(f'<li class="{style}"><span>{escape(label + owed)}</span><b>{_dollars(amount)}</b>{also}</li>')
    return f'<section class="card"><ul class="numbers">{"".join(items)}</ul></section>\n'


def _dollars(amount: int) -> str:
    return f"{'−' if amount < 0 else ''}${usd(abs(amount))}"


def _credits(found: Statement, language: Language) -> str:
    words = WORDS[language]
    if not found.credits:
        return _card(words["credits"], f'<p class="quiet">{escape(words["no_credits"])}</p>')
    places = _places(one.amount_nano_usd for one in found.credits)
    rows = [
        [
            _cell(one.day),
            f'<td class="long">{escape(words[one.kind])}{_small(one.memo)}{_small(one.reference)}</td>',
            _cell(usd(one.amount_nano_usd, places), "number"),
        ]
        for one in found.credits
    ]
    total = _total(words["total"], 2, [usd(found.credited_nano_usd, places)])
    heads = [("day", ""), ("kind", ""), ("amount", "number")]
    return _card(words["credits"], _table([(words[name], style) for name, style in heads], rows, total))


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""


def _places(amounts: Iterable[int]) -> int:
    """Decimals that all of these need, so that a column of them lines up at the point."""
    return max((len(usd(amount).rpartition(".")[2]) for amount in amounts), default=2)


def _models(found: Statement, language: Language) -> str:
    words = WORDS[language]
    if not found.usage:
        return _card(words["by_model"], f'<p class="quiet">{escape(words["no_usage"])}</p>')
    parts = _summed(found.usage, "model")
    places = _places(part.charged_nano_usd for _, part in parts)
    rows = []
    for name, part in parts:
        calls, *tokens = _numbers_of(part)
        labels = (words[label] for label in ("input", "cached", "output"))
        told = ", ".join(f"{label} {count}" for label, count in zip(labels, tokens, strict=True))
        model = (
            f'<td class="long">{escape(name or words["other_model"])}<small class="narrow">{escape(told)}</small></td>'
        )
        counts = [_cell(calls, "number"), *(_cell(count, "number wide") for count in tokens)]
        rows.append([model, *counts, _cell(usd(part.charged_nano_usd, places), "number")])
    [(_, sums)] = _summed(found.usage, "")
    total = _total(words["total"], 1, [*_numbers_of(sums), usd(found.charged_nano_usd, places)], wide=(1, 2, 3))
    styles = {"input": "number wide", "cached": "number wide", "output": "number wide"}
    heads = [(words["model"], ""), *((words[name], styles.get(name, "number")) for name in _COUNTED)]
    return _card(words["by_model"], _table(heads, rows, total))


def _days(found: Statement, language: Language) -> str:
    words = WORDS[language]
    if not found.usage:
        return ""
    days = _summed(found.usage, "day")
    days.sort(key=lambda pair: pair[0])
    most = max(1, *(part.charged_nano_usd for _, part in days))
    places = _places(part.charged_nano_usd for _, part in days)
    rows = []
    for day, part in days:
        width = round(100 * max(0, part.charged_nano_usd) / most, 1)
        bar = f'<td class="bar"><i style="width:{width}%"></i></td>'
        amount = _cell(usd(part.charged_nano_usd, places), "number")
        rows.append([_cell(day), _cell(f"{part.calls:,}", "number"), bar, amount])
    heads = [(words["day"], ""), (words["calls"], "number"), ("", "bar"), (words["charge"], "number")]
    total = _total(words["total"], 1, [f"{found.calls:,}", "", usd(found.charged_nano_usd, places)])
    return _card(words["by_day"], _table(heads, rows, total))


def _footer(found: Statement, language: Language) -> str:
    words = WORDS[language]
    notes = [words["exact_note"]]
    if found.unmetered_calls:
        notes.insert(0, words["unmetered_note"].format(calls=f"{found.unmetered_calls:,}"))
    if found.rate is not None:
        rate = found.rate
        notes.append(words["rate_note"].format(currency=rate.currency, day=rate.day, source=rate.source))
    made = found.made.replace("T", " ").replace("Z", " UTC")
    notes.append(words["proof_note"].format(made=made, number=found.through_number))
    told = "".join(f"<p>{escape(note)}</p>" for note in notes)
    digest = f'<p class="digest">{escape(words["digest"])}: {escape(found.through_digest)}</p>'
    return f"<footer>{told}{digest}<p>tidegate {__version__}</p></footer>\n"


def _summed(usage: Iterable[Usage], by: str) -> list[tuple[str, Usage]]:
    """Usage added up by day or model (or all, for ""); the dearest first."""
    parts: dict[str, Usage] = {}
    for one in usage:
        key = getattr(one, by) if by else ""
        before = parts.get(key)
        parts[key] = one if before is None else _plus(before, one)
    return sorted(parts.items(), key=lambda pair: (-pair[1].charged_nano_usd, -pair[1].calls, pair[0]))


def _plus(one: Usage, other: Usage) -> Usage:
    names = [name for name in Usage.__struct_fields__ if name not in ("day", "model")]
    sums = {name: getattr(one, name) + getattr(other, name) for name in names}
    return Usage(day=one.day, model=one.model, **sums)


def _numbers_of(part: Usage) -> list[str]:
    return [f"{value:,}" for value in (part.calls, part.input_tokens, part.cached_tokens, part.output_tokens)]


def _card(title: str, inner: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2>\n{inner}</section>\n'


def _cell(text: str, style: str = "") -> str:
    return f'<td class="{style}">{escape(text)}</td>' if style else f"<td>{escape(text)}</td>"


def _table(heads: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], total: str) -> str:
    head = "".join(f'<th class="{style}">{escape(text)}</th>' for text, style in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody>'
        f"<tfoot>{total}</tfoot></table></div>\n"
    )


def _total(word: str, span: int, values: Sequence[str], wide: Sequence[int] = ()) -> str:
    cells = "".join(
        f'<td class="number{" wide" if place in wide else ""}">{escape(value)}</td>'
        for place, value in enumerate(values)
    )
    return f'<tr><td colspan="{span}">{escape(word)}</td>{cells}</tr>'
