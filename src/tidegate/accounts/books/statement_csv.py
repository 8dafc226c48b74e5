"""A statement as CSV: one line a credit, one a day and model, in the order of days, with the balance after each."""

import csv
import io
from typing import Final

from tidegate.accounts.books.statement import Credit, Statement, Usage
from tidegate.accounts.books.statement_words import WORDS
from tidegate.core.error_words import Language
from tidegate.core.money import format_usd

COLUMNS: Final = (
    "day",
    "kind",
    "model",
    "calls",
    "unmetered",
    "input",
    "cached",
    "output",
    "amount",
    "balance",
    "reference",
    "memo",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_text(found: Statement, language: Language) -> str:
    """Amounts in USD, exact: below zero what was used. First and last line: the balance before and after."""
    words, out = WORDS[language], io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([words[name] for name in COLUMNS])
    balance = found.opening_nano_usd
    writer.writerow(_balance_line(f"{found.month}-01", words["opening"], balance))
    lines: list[Credit | Usage] = [*found.credits, *found.usage]
    for line in sorted(lines, key=lambda line: (line.day, isinstance(line, Usage))):
        if isinstance(line, Credit):
            balance += line.amount_nano_usd
            cells = [words[line.kind], "", "", "", "", "", ""]
            amount, about = line.amount_nano_usd, [_plain(line.reference), _plain(line.memo)]
        else:
            balance -= line.charged_nano_usd
            counts = (line.calls, line.unmetered_calls, line.input_tokens, line.cached_tokens, line.output_tokens)
            cells = [words["usage"], _plain(line.model), *map(str, counts)]
            amount, about = -line.charged_nano_usd, ["", ""]
        writer.writerow([line.day, *cells, format_usd(amount), format_usd(balance), *about])
    writer.writerow(_balance_line(found.last_day, words["closing"], found.closing_nano_usd))
    return out.getvalue()


def _balance_line(day: str, words: str, amount: int) -> list[str]:
    return [day, words, "", "", "", "", "", "", "", format_usd(amount), "", ""]


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
