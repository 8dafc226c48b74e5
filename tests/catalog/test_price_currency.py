"""Prices published in another currency: tables, dated exchange rates, the operator's own, and when one is too old."""

import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, start_gateway
from rig.provider import FakeProvider
from tidegate.accounts.keys import open_accounts
from tidegate.accounts.money.fx import set_quote
from tidegate.accounts.tenancy import now_us
from tidegate.catalog import load_catalog
from tidegate.catalog.check import ENDED_CALENDAR, OLD_RATE, check_catalog
from tidegate.catalog.currencies import price_in_usd
from tidegate.catalog.routes import served_endpoints
from tidegate.catalog.tables import OWN_PRICES, PRICE_COLUMNS
from tidegate.config import Config, EndpointConfig, PriceConfig, ProviderConfig
from tidegate.core.errors import CatalogError
from tidegate.core.fx import Quote, Rate
from tidegate.core.hours import moment_us, parse_window
from tidegate.core.price import KindRates, Price, Rates, Tier, with_hours
from tidegate.gateway.serving import build_table

LINE = (
    "zhipu,zhipu/glm-x,{start},{hours},CNY,{above},glm-x,documented,{input},{output},,,,,"
    "audio_input=5000000000,page,2026-11-22"
)
DAY = "2026-11-22"
FEN = Rate(currency="CNY", day="2026-01-30", source="ours", numerator=1_400_000_000, denominator=1000)  # 7.14 a dollar


def table(folder: Path, *lines: str) -> None:
    (folder / OWN_PRICES).write_text("\n".join([",".join(PRICE_COLUMNS), *lines]) + "\n")


def rows() -> list[str]:
    said = {"start": "2026-01-01", "hours": "", "above": 0, "input": 4_000_000_000, "output": 16_000_000_000}
    return [LINE.format(**(said | own)) for own in (
        {},
        {"above": 32_000, "input": 6_000_000_000},
        {"hours": "00:00-08:00 Asia/Shanghai", "input": 2_000_000_000},
    )]  # fmt: skip


def test_a_table_may_state_prices_in_yuan(tmp_path: Path) -> None:
    """4 yuan a million, at the European Central Bank's rates of 30 October 2026: 1.1172 dollars, 7.4326 yuan a euro."""
    table(tmp_path, *rows())
    known = load_catalog([tmp_path])
    dollars = Fraction(11172, 74326)

    def near(amount: int) -> object:
        return pytest.approx(float(amount * dollars), abs=1)

    price = known.price_on("zhipu", "zhipu/glm-x", "2026-11-22T03:00Z")
    assert price is not None and price.price_id == "zhipu/glm-x@zhipu#2026-01-01-CNY-2026-10-30"
    assert price.rates.input == near(4_000_000_000) and price.rates.kinds is not None
    assert price.rates.kinds.audio_input == near(5_000_000_000)
    assert price.rates_for(32_001).input == near(6_000_000_000)
    assert "ECB" in price.source and (price.currency, price.fx_day) == ("CNY", "2026-10-30")
    night = known.price_on("zhipu", "zhipu/glm-x", "2026-11-22T17:00Z")
    assert night is not None and night.rates.input == near(2_000_000_000)
    assert night.price_id == "zhipu/glm-x@zhipu#2026-01-01-CNY-2026-10-30~00:00-08:00_Asia/Shanghai"

    summer = known.price_on("zhipu", "zhipu/glm-x", "2026-09-15")
    assert summer is not None and summer.fx_day == "2026-08-31", "the rate of its day, not a later one"
    assert [one.fx_day for one in known.prices_of("zhipu", "zhipu/glm-x")] == ["2026-10-30"]


def test_every_rate_is_rounded_once_half_to_even() -> None:
    """At 1.4 nano-dollars a fen: what a pocket calculator gives, in every place that holds a rate."""
    rates = Rates(input=25, output=75, cache_read=35, kinds=KindRates(audio_output=10))
    price = Price(price_id="m@p#d", rates=rates, tiers=(Tier(input_tokens_above=5, rates=rates),), currency="CNY")
    price = with_hours(price, [(parse_window("01:00-02:00")[0], rates, ())], "sent")
    made = price_in_usd(price, FEN)  # a nano-yuan is 0.14 nano-dollars
    for one in (
        made.rates,
        made.tiers[0].rates,
        made.faces[0].price.rates,
        made.at(moment_us("2026-01-01T01:30Z")).rates,
    ):
        assert (one.input, one.output, one.cache_read, one.cache_creation) == (4, 10, 5, None)
        assert one.kinds == KindRates(audio_output=1)


def test_an_installations_own_rates_win(tmp_path: Path) -> None:
    """`fx.csv` in its catalog folder; a damaged line is named."""
    table(tmp_path, *rows())
    fx = tmp_path / "fx.csv"
    fx.write_text("day,base,quote,rate,source,checked\n2026-11-01,USD,CNY,8,our bank,2026-11-01\n")
    price = load_catalog([tmp_path]).price_on("zhipu", "zhipu/glm-x", DAY)
    assert price is not None and price.rates.input == 500_000_000 and "our bank" in price.source
    fx.write_text("day,base,quote,rate,source,checked\n2026-11-01,USD,CNY,eight,our bank,2026-11-01\n")
    with pytest.raises(CatalogError, match=r"fx\.csv:2: .*eight"):
        load_catalog([tmp_path]).price_on("zhipu", "zhipu/glm-x", DAY)


def test_currencies_that_are_mixed_or_unknown_are_refused(tmp_path: Path) -> None:
    """With names that are near."""
    table(tmp_path, *(line.replace("CNY", "CNH") for line in rows()))
    with pytest.raises(CatalogError, match="CNY"):
        load_catalog([tmp_path]).price_on("zhipu", "zhipu/glm-x", DAY)
    table(tmp_path, rows()[0], rows()[2].replace("CNY", ""))
    with pytest.raises(CatalogError, match="several currencies"):
        load_catalog([tmp_path]).price_on("zhipu", "zhipu/glm-x", DAY)


CONFIG = Config(
    providers={"acme": ProviderConfig(base_url="http://x.example/v1")},
    endpoints=(
        EndpointConfig(provider="acme", model="a", price=PriceConfig(currency="CNY", input="2", output="8")),
        EndpointConfig(provider="acme", model="b", price=PriceConfig(input="2", output="8")),
    ),
)


def test_a_rate_that_has_grown_old_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """At the start of a worker, and by `tidegate catalog check`; a month's end is not old, two are."""

    def told(day: str) -> set[str]:
        known = load_catalog()
        served = served_endpoints(CONFIG.providers, CONFIG.endpoints, known, {}, day, False)
        return {f"{one.missing}: {one.subject}" for one in check_catalog(known, served, day) if one.missing in WHAT}

    assert told("2026-11-22") == set()
    assert told("2027-01-15") == {
        f"{OLD_RATE}: CNY: 1 served prices rest on the rate of 2026-10-30",
        f"{ENDED_CALENDAR}: china is known for 2026",
    }
    with caplog.at_level(logging.WARNING):
        build_table(CONFIG, {}, "2026-11-22")
        assert "fx set" not in caplog.text
        build_table(CONFIG, {}, "2027-01-15")
    assert "1 prices are converted at the rate of CNY of 2026-10-30" in caplog.text


WHAT = (OLD_RATE, ENDED_CALENDAR)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("currency")
    with FakeProvider() as provider:
        config = f'[providers.mock]\nbase_url = "{provider.url}"\n[[endpoints]]\nprovider = "mock"\nmodel = "acme/ok"\n'
        config += 'upstream_model = "ok"\nprice = { currency = "CNY", input = "14", output = "70", cache_read = "7" }\n'
        running = start_gateway(home, config)
        yield running
        assert running.stop() == 0


def test_a_rate_that_the_operator_enters_is_charged_within_seconds(gateway: Gateway) -> None:
    """7 yuan a dollar make 14, 70 and 7 yuan 2, 10 and 1 dollars: 12 tokens in, 4 of them cached, and 5 out."""
    accounts = open_accounts(gateway.home)
    set_quote(accounts.database, Quote(day=DAY, base="USD", quote="CNY", rate="7", source="us", is_own=True), now_us())
    accounts.close()
    deadline = time.monotonic() + 6
    body = {"model": "acme/ok", "messages": [{"role": "user", "content": "2+2?"}]}
    while True:
        httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=gateway.headers).raise_for_status()
        row = gateway.row("acme/ok")
        if row.cost_nano_usd == 8 * 2000 + 4 * 1000 + 5 * 10_000:
            assert row.price_id == f"acme/ok@mock#config-CNY-{DAY}"
            return
        assert time.monotonic() < deadline, row
        time.sleep(0.1)
