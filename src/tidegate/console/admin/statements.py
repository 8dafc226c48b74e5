"""A tenant's statement of one month: for programs, for spreadsheets, and as a page that prints."""

import datetime
from typing import Final, Literal

import msgspec

from tidegate.accounts.books.statement import Statement, statement
from tidegate.accounts.books.statement_csv import csv_text
from tidegate.accounts.books.statement_page import render
from tidegate.accounts.tenancy import find_tenant, now_us
from tidegate.console.admin import TENANT
from tidegate.console.operations import Asked, Document, Operation


class StatementQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which month (`2026-11`; this one so far), in what form; totals also in `currency`; `lang` of csv and html."""

    month: str | None = None
    format: Literal["json", "csv", "html"] = "json"
    currency: str = ""
    lang: Literal["en", "zh"] | None = None


def _statement(asked: Asked) -> Statement | Document:
    query: StatementQuery = asked.query
    month = query.month or datetime.datetime.now(datetime.UTC).strftime("%Y-%m")
    tenant = find_tenant(asked.backend.database, asked.tenant_id)
    with asked.backend.database.reading() as connection:
        found = statement(
            connection,
            tenant.tenant_id,
            month,
            tenant_name=tenant.name,
            now_us=now_us(),
            currency=query.currency.upper(),
        )
    language = query.lang or ("zh" if tenant.language == "zh" else "en")
    if query.format == "csv":
        return Document(text=csv_text(found, language), content_type="text/csv; charset=utf-8")
    if query.format == "html":
        return Document(text=render(found, language), content_type="text/html; charset=utf-8")
    return found


OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{TENANT}/statement", summary="What was paid in, used and is left, of a month.",
        action="wallet.read", run=_statement, query=StatementQuery, reply=Statement,
        other_types=("text/csv", "text/html"),
    ),
)  # fmt: skip
