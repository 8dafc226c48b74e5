"""Vouchers: a code is worth its amount once, to one tenant, and nobody can read it in the database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tidegate.accounts.books.wallets import wallet_of
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.errors import AccountExists
from tidegate.accounts.money import vouchers
from tidegate.accounts.money.fx import fx_table
from tidegate.accounts.money.vouchers import NewBatch, VoucherRefused
from tidegate.core.errors import AccountsError
from tidegate.core.fx import USD_RATE, Amount, parse_amount

PEPPER = b"p" * 32
NOW_US = 1_795_000_000_000_000


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    is_postgres = getattr(request, "param", "sqlite") == "postgres"
    held = open_database(
        request.getfixturevalue("postgres").copy() if is_postgres else request.getfixturevalue("empty_accounts")
    )
    yield held
    held.close()


def codes_of(database: Database, count: int = 1, **more: object) -> list[str]:
    new = NewBatch(name="launch", face=Amount("USD", 500), rate=USD_RATE, count=count, **more)  # type: ignore[arg-type]
    return vouchers.make_batch(database, PEPPER, new, NOW_US)[1]


def redeem(database: Database, code: str, tenant_id: str = "acme", now_us: int = NOW_US) -> vouchers.Voucher:
    return vouchers.redeem(database, PEPPER, code, tenant_id, now_us)


def balance(database: Database, tenant_id: str = "acme") -> int:
    with database.reading() as connection:
        return wallet_of(connection, tenant_id).balance_nano_usd


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_code_credits_its_amount_once(database: Database) -> None:
    """Five dollars, however often it is tried."""
    (code,) = codes_of(database)
    assert redeem(database, code).amount_nano_usd == 5 * 10**9
    with pytest.raises(VoucherRefused, match="redeemed by this account before"):
        redeem(database, code)
    with pytest.raises(VoucherRefused, match="not valid"):
        redeem(database, code, "rival")
    assert (balance(database), balance(database, "rival")) == (5 * 10**9, 0)


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_of_many_who_try_at_one_moment_one_is_credited(database: Database) -> None:
    """Sixteen tenants, one code, real threads on a real file."""
    (code,) = codes_of(database)

    def attempt(tenant: int) -> bool:
        try:
            redeem(database, code, f"tenant-{tenant}")
        except VoucherRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(16)))
    assert won.count(True) == 1
    assert sum(balance(database, f"tenant-{tenant}") for tenant in range(16)) == 5 * 10**9


def test_a_crash_between_the_mark_and_the_booking_leaves_neither(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code that credited nobody is worth its amount still."""
    (code,) = codes_of(database)

    def fail(*_: object) -> None:
        raise OSError("the process ends here")

    with monkeypatch.context() as broken:
        broken.setattr(vouchers, "post", fail)
        with pytest.raises(OSError, match="ends here"):
            redeem(database, code)
    assert balance(database) == 0
    assert redeem(database, code).redeemed_by == "acme"
    assert balance(database) == 5 * 10**9


@pytest.mark.parametrize("change", [str.lower, lambda code: code.replace("-", " "), lambda code: f"  {code}\n"])
def test_a_code_may_be_typed_as_people_type(database: Database, change: object) -> None:
    (code,) = codes_of(database)
    assert redeem(database, change(code)).redeemed_by == "acme"  # type: ignore[operator]


@given(st.text(alphabet="01OoIiLl-", min_size=20, max_size=20))
def test_letters_that_look_alike_are_the_same(text: str) -> None:
    """Crockford's alphabet has no O, I or L: whoever types one means a digit."""
    letters = text.replace("-", "0")
    plain = letters.upper().replace("O", "0").replace("I", "1").replace("L", "1")
    assert vouchers.hash_code(PEPPER, "TG-" + letters) == vouchers.hash_code(PEPPER, "TG" + plain) is not None


@pytest.mark.parametrize("code", ["", "TG", "TG-00000-00000-00000-0000", "XX-00000-00000-00000-00000", "TG" + "U" * 20])
def test_what_cannot_be_a_code_is_not_looked_up(database: Database, code: str) -> None:
    with pytest.raises(VoucherRefused, match="not valid"):
        redeem(database, code)


def test_no_code_can_be_read_in_the_database(database: Database) -> None:
    """Whoever steals the file cannot spend what is in it: hashes under the installation's secret, four letters."""
    codes = codes_of(database, 20)
    with database.reading() as connection:
        rows = connection.execute(sa.text("SELECT * FROM vouchers")).all()
    kept = repr(rows)
    for code in codes:
        assert code not in kept and code.replace("-", "") not in kept and code[3:8] not in kept
    assert vouchers.hash_code(b"q" * 32, codes[0]) not in [row[2] for row in rows]


def test_a_batch_has_as_many_different_codes_as_asked(database: Database) -> None:
    codes = codes_of(database, 2500)
    assert len(set(codes)) == 2500
    (batch,) = vouchers.list_batches(database)
    assert (batch.count, batch.redeemed, batch.revoked) == (2500, 0, 0)


def test_codes_that_another_gateway_sold_keep_their_worth(database: Database) -> None:
    """one-api's are 32 hex digits, taken to the letter; each once, and never twice in two batches."""
    sold = ("0f3c9a7be1d24c5fa8860b7d15c2e94a", "1f3c9a7be1d24c5fa8860b7d15c2e94a")
    assert codes_of(database, 0, given=sold) == list(sold)
    with pytest.raises(VoucherRefused, match="not valid"):
        redeem(database, sold[0].upper())
    assert redeem(database, f" {sold[0]} ").amount_nano_usd == 5 * 10**9
    with pytest.raises(AccountExists, match="a voucher already"):
        codes_of(database, 0, given=sold)
    assert len(vouchers.list_batches(database)) == 1


@pytest.mark.parametrize("given", [("short",), ("with space in it it is",), ("a" * 20, "a" * 20)])
def test_given_codes_that_could_be_guessed_or_mistaken_are_refused(database: Database, given: tuple[str, ...]) -> None:
    with pytest.raises(AccountsError, match=r"16 to 64|twice"):
        codes_of(database, 0, given=given)


def test_an_expired_voucher_is_refused_from_its_moment_on(database: Database) -> None:
    first, second = codes_of(database, 2, expires_us=NOW_US + 10)
    assert redeem(database, first, now_us=NOW_US + 9).redeemed_us == NOW_US + 9
    with pytest.raises(VoucherRefused, match="is expired"):
        redeem(database, second, now_us=NOW_US + 10)


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_what_is_revoked_is_worth_nothing_and_what_was_redeemed_stays(database: Database) -> None:
    codes = codes_of(database, 3)
    redeem(database, codes[0])
    (batch,) = vouchers.list_batches(database)
    assert vouchers.revoke(database, batch.batch_id, NOW_US) == 2
    assert vouchers.revoke(database, batch.batch_id, NOW_US) == 0
    with pytest.raises(VoucherRefused, match="is revoked"):
        redeem(database, codes[1])
    states = sorted(one.state(NOW_US) for one in vouchers.list_vouchers(database, batch.batch_id))
    assert (states, balance(database)) == (["redeemed", "revoked", "revoked"], 5 * 10**9)
    with pytest.raises(AccountsError, match="no batch and no voucher"):
        vouchers.revoke(database, "vb_none", NOW_US)


def test_a_voucher_for_one_tenant_is_unknown_to_others(database: Database) -> None:
    """Its existence is nobody else's news."""
    (code,) = codes_of(database, tenant_id="acme")
    with pytest.raises(VoucherRefused, match="not valid"):
        redeem(database, code, "rival")
    assert redeem(database, code, "acme").redeemed_by == "acme"


def test_a_face_in_yuan_is_worth_its_dollars_of_the_day_it_was_made(database: Database) -> None:
    """70 CNY at 7.4326 CNY and 1.1172 USD to the euro: 10.521755509... USD, whatever the rate does later."""
    new = NewBatch(name="cn", face=parse_amount("70", "CNY"), rate=fx_table().rate("CNY", "2026-11-22"), count=1)
    batch, codes = vouchers.make_batch(database, PEPPER, new, NOW_US)
    assert batch.amount_nano_usd == 10_521_755_510
    redeem(database, codes[0])
    assert balance(database) == 10_521_755_510


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"count": 0}, "1 to 100,000"), ({"face": Amount("USD", 0)}, "worth nothing"), ({"name": " "}, "a name")],
)
def test_a_batch_of_nothing_cannot_be_made(fields: dict[str, object], words: str) -> None:
    whole = {"name": "x", "face": Amount("USD", 1), "rate": USD_RATE, "count": 1} | fields
    with pytest.raises(AccountsError, match=words):
        NewBatch(**whole)  # type: ignore[arg-type]
