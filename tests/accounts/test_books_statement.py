"""What a customer reads: every amount is exact, and opening, payments, usage and closing add up."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from booked_calls import DAY_US, NOON_US, Call, Host
from click.testing import CliRunner

from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.books.run import settle
from tidegate.accounts.books.statement import Statement, statement
from tidegate.accounts.books.statement_csv import csv_text
from tidegate.accounts.books.statement_page import render
from tidegate.accounts.books.statement_words import WORDS
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.tenancy import Tenant, create_tenant
from tidegate.cli import cli
from tidegate.cli.accounts_statement import MEANING
from tidegate.core.errors import AccountsError
from tidegate.core.money import parse_usd

USD = 1_000_000_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    """February to April 2026 of one tenant: 20 paid in, 5 back, calls of three days and two models."""
    opened, host = open_database(f"sqlite:///{home / 'accounts.sqlite'}"), Host(home / "ledger")
    create_tenant(opened, Tenant(tenant_id="acme", name="Acme <b>", language="zh"))
    with opened.writing() as connection:
        for kind, amount, reference, shift in (
            ("top_up", 20 * USD, "pi_1", -30),
            ("refund", -5 * USD, "=HYPERLINK(1)", 1),
        ):
            posting = credit_posting(
                kind,  # type: ignore[arg-type]
                "acme",
                amount,
                reference=reference,
                booked_us=NOON_US + shift * DAY_US,
                memo="<script>alert(1)</script>",
            )
            post(connection, posting)
    host.seal(
        [
            Call(charged=100, ts=NOON_US - 23 * DAY_US),  # February
            Call(charged=1_500_000_001, ts=NOON_US),
            Call(charged=2, ts=NOON_US, model="qwen/qwen3"),
            Call(charged=None, ts=NOON_US + DAY_US, model="qwen/qwen3"),
            Call(charged=7, ts=NOON_US + 9 * DAY_US),  # April
        ]
    )
    settle(opened, host.ledger)
    yield opened
    opened.close()


def march(database: Database) -> Statement:
    with database.reading() as connection:
        return statement(connection, "acme", "2026-03", tenant_name="Acme <b>", now_us=NOON_US + 20 * DAY_US)


def test_opening_payments_usage_and_closing_add_up(database: Database) -> None:
    """March begins with what February left, and ends before April."""
    found = march(database)
    assert found.opening_nano_usd == 20 * USD - 100
    assert found.credited_nano_usd == -5 * USD
    assert found.charged_nano_usd == 1_500_000_003 == sum(one.charged_nano_usd for one in found.usage)
    assert found.closing_nano_usd == found.opening_nano_usd + found.credited_nano_usd - found.charged_nano_usd
    assert (found.calls, found.unmetered_calls, found.is_open) == (3, 1, False)
    assert [(one.day, one.model, one.calls) for one in found.usage] == [
        ("2026-03-23", "openai/gpt-4o-mini", 1),
        ("2026-03-23", "qwen/qwen3", 1),
        ("2026-03-24", "qwen/qwen3", 1),
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_csv_has_the_balance_after_each_line(database: Database, language: str) -> None:
    """Exact, in the reader's language, and nothing in it is a formula to a spreadsheet."""
    found = march(database)
    first, *lines = csv.reader(io.StringIO(csv_text(found, language)))  # type: ignore[arg-type]
    assert first[0] == ("Day" if language == "en" else "日期")
    balance = 0
    for line in lines[:-1]:
        balance += parse_usd(line[8]) if line[8] else parse_usd(line[9])
        assert parse_usd(line[9]) == balance
    assert parse_usd(lines[-1][9]) == found.closing_nano_usd == balance
    assert any(line[10] == "'=HYPERLINK(1)" for line in lines)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_loads_nothing_and_runs_nothing(database: Database, language: str) -> None:
    """It is sent by mail and opened from disk: names and notes in it are text."""
    page = render(march(database), language)  # type: ignore[arg-type]
    assert "<script" not in page and "&lt;script&gt;" in page and "Acme &lt;b&gt;" in page
    assert not re.search(r"https?://|src=|@import|url\(", page)
    assert "1.500000001" in page and "$13.499999897" in page
    assert WORDS[language]["closing"] in page  # type: ignore[index]
    assert march(database).through_digest in page


def test_both_languages_have_the_same_words() -> None:
    """And no word is left empty."""
    assert set(WORDS["en"]) == set(WORDS["zh"])
    assert all(words.values() and all(words.values()) for words in WORDS.values())


@pytest.mark.parametrize("month", ["2026-13", "03-2026", "2026-3", "2026-03-01", ""])
def test_a_month_that_is_none_is_refused(database: Database, month: str) -> None:
    """With what is accepted."""
    with database.reading() as connection, pytest.raises(AccountsError, match="write for example 2026-11"):
        statement(connection, "acme", month, now_us=NOON_US)


def test_the_command_writes_each_form(database: Database, home: Path) -> None:
    """In the tenant's language unless told otherwise; totals in another currency where asked."""
    run = CliRunner()
    told = run.invoke(cli, ["accounts", "statement", "acme", "--month", "2026-03"], catch_exceptions=False)
    assert "1.500000003" in told.output and "up to entry no." in told.output
    out = home / "acme.csv"
    run.invoke(cli, ["accounts", "statement", "acme", "--month", "2026-03", "--format", "csv", "--out", str(out)])
    assert out.read_bytes().startswith("\ufeff日期".encode())
    words = ["accounts", "statement", "acme", "--month", "2026-03", "--format", "json", "--currency", "vnd"]
    found = json.loads(run.invoke(cli, words, catch_exceptions=False).output)
    assert found["closing_nano_usd"] == 13_499_999_897
    assert found["other_currency"]["currency"] == "VND" and "." not in found["other_currency"]["closing"]


def test_wallet_commands_do_what_they_say(database: Database) -> None:
    """Credit, repeat, refund too much, overdraft, list: by the words a person would type."""
    run = CliRunner()

    def say(*words: str) -> str:
        return run.invoke(cli, ["accounts", "wallet", *words], catch_exceptions=False).output

    assert "has 23.49999989 USD left" in say("credit", "acme", "10", "--reference", "bank-1")
    assert "was booked before" in say("credit", "acme", "10", "--reference", "bank-1")
    with pytest.raises(AccountsError, match="cannot be paid back"):
        say("credit", "acme", "--kind", "refund", "--", "-500")
    assert "5.00 USD below zero" in say("overdraft", "acme", "5")
    [wallet] = json.loads(say("list", "--format", "json"))
    assert (wallet["available_nano_usd"], wallet["overdraft_nano_usd"]) == (28_499_999_890, 5 * USD)
    assert "left to spend" in say("show", "acme")
    with pytest.raises(AccountsError, match="no tenant 'acmee'"):
        say("credit", "acmee", "1")


def test_a_tenant_without_any_booking_has_an_empty_statement(database: Database) -> None:
    """It exists; whoever is misspelt does not."""
    create_tenant(database, Tenant(tenant_id="quiet"))
    run = CliRunner()
    for form in ("table", "json", "csv", "html"):
        told = run.invoke(cli, ["accounts", "statement", "quiet", "--format", form], catch_exceptions=False)
        assert told.exit_code == 0 and told.output
    found = run.invoke(cli, ["accounts", "statement", "quite"])
    assert "there is no tenant 'quite'" in str(found.exception)


def test_totals_are_what_the_operator_earned(database: Database) -> None:
    """All accounts add up to nothing; what is earned is the difference between two prices."""
    run = CliRunner()
    told = run.invoke(cli, ["accounts", "totals", "--month", "2026-03", "--format", "json"], catch_exceptions=False)
    found = {row["account"]: row["amount_nano_usd"] for row in json.loads(told.output)}
    assert found.pop("earned") == 1_500_000_003 - 3 * 80
    assert sum(found.values()) == 0 and set(found) <= set(MEANING)
    assert "what providers charge" in run.invoke(cli, ["accounts", "totals"], catch_exceptions=False).output
