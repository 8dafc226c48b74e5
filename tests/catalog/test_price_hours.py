"""Prices by the hour from their sources: the package's, those written by hand, and an operator's own."""

import json
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from genai_prices.data import providers as genai_providers
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.catalog import Catalog, load_catalog
from tidegate.catalog.catalog import DATA
from tidegate.catalog.overlay import read_overlay
from tidegate.catalog.routes import prices_hold_until, served_endpoints
from tidegate.catalog.source_genai_prices import read_genai_prices
from tidegate.catalog.source_litellm import MEMBER, read_litellm
from tidegate.catalog.sync import merge, read_own
from tidegate.catalog.tables import (
    OWN_PRICES,
    PRICE_COLUMNS,
    line_of_price,
    price_line_of,
    prices_of_lines,
    read_price_lines,
)
from tidegate.config import EndpointConfig, PriceConfig, WindowConfig, load_config
from tidegate.core.errors import CatalogError
from tidegate.core.hours import moment_us
from tidegate.core.money import parse_rate
from tidegate.core.price import Price
from tidegate.study.facts import list_rates

DAY = "2026-11-22"
BY_THE_HOUR = [
    model
    for provider in genai_providers
    for model in provider.models
    if provider.id == "deepseek" and isinstance(model.prices, list)
    if any(hasattr(one.constraint, "start_time") for one in model.prices)
]
AFTER_ALL_STARTS = datetime(2026, 11, 16, tzinfo=UTC)


@pytest.fixture(scope="module")
def synced() -> dict[str, Price]:
    """The last price of each model of DeepSeek's, as a sync takes it from the package alone."""
    facts = list(read_genai_prices({"deepseek": "deepseek"}))
    lines: dict[str, list[str]] = {}
    for line in merge(facts, read_overlay(DATA), DAY, (), ()).prices:
        lines.setdefault(line.upstream_model, []).append(line_of_price(line))
    return {name: prices_of_lines(map(price_line_of, found))[-1] for name, found in lines.items()}


@settings(max_examples=60, deadline=None)
@given(minute=st.integers(0, 7 * 1440 - 1))
def test_hours_of_the_package_cost_what_the_package_says(synced: dict[str, Price], minute: int) -> None:
    """At any minute of a week, asked of the package itself."""
    at = AFTER_ALL_STARTS + timedelta(minutes=minute)
    assert len(BY_THE_HOUR) >= 3
    for model in BY_THE_HOUR:
        ours, theirs = synced[model.id].at(int(at.timestamp()) * 1_000_000).rates, model.get_prices(at)
        assert (ours.input, ours.output, ours.cache_read) == tuple(
            parse_rate(str(value)) for value in (theirs.input_mtok, theirs.output_mtok, theirs.cache_read_mtok)
        ), (model.id, at)


def test_prices_written_by_hand_win_and_what_differs_is_told() -> None:
    """The package knows neither weekends nor holidays; its other numbers are shown beside ours."""
    facts = list(read_genai_prices({"deepseek": "deepseek"}))
    own = read_own(DATA)
    tables = merge(facts, read_overlay(DATA), DAY, (), (), own)
    pairs = {(line.provider, line.model) for line in own}
    assert sorted(line for line in tables.prices if (line.provider, line.model) in pairs) == sorted(own)
    stale = [line for line in own if line.model == "deepseek/deepseek-v4-pro"]
    wrong = [price_line_of(line_of_price(line).replace("660000000", "650000000")) for line in stale]
    told = merge(facts, read_overlay(DATA), DAY, (), (), wrong).disagreements
    assert [(one.field, one.kept, one.values[0][0]) for one in told if one.model == stale[0].model] == [
        ("input", "0.65", OWN_PRICES)
    ]


def test_the_shipped_tables_hold_what_was_written_by_hand() -> None:
    """`tidegate catalog sync --out src/tidegate/data` puts them there."""
    shipped = read_price_lines(DATA)
    for pair, lines in read_price_lines(DATA, OWN_PRICES).items():
        assert shipped[pair] == sorted(lines, key=price_line_of), f"{pair}: run the sync"


@pytest.mark.parametrize(
    ("model", "moment", "usd"),
    [
        ("deepseek-chat", "2025-02-26T16:29Z", "0.27"),
        ("deepseek-chat", "2025-02-26T16:30Z", "0.135"),
        ("deepseek-chat", "2025-06-01T00:29Z", "0.135"),
        ("deepseek-chat", "2025-06-01T00:30Z", "0.27"),
        ("deepseek-reasoner", "2025-06-01T20:00Z", "0.135"),
        ("deepseek-reasoner", "2025-06-01T12:00Z", "0.55"),
        ("deepseek-chat", "2025-09-05T15:59Z", "0.27"),
        ("deepseek-chat", "2025-09-05T16:30Z", "0.56"),
        ("deepseek-v4-pro", "2026-08-16T15:59Z", "0.435"),
        ("deepseek-v4-pro", "2026-08-22T01:00Z", "1.32"),  # a Saturday, before weekends were cheap
        ("deepseek-v4-pro", "2026-08-29T01:00Z", "0.66"),  # a Saturday after it
        ("deepseek-flash", "2026-11-23T01:00Z", "0.3"),
        ("deepseek-flash", "2026-11-23T04:00Z", "0.15"),
        ("deepseek-flash", "2026-10-05T07:00Z", "0.15"),  # a Monday of the National Day holidays
        ("deepseek-flash", "2026-10-08T07:00Z", "0.3"),
    ],
)
def test_deepseeks_hours_are_known_for_old_logs_and_new(catalog: Catalog, model: str, moment: str, usd: str) -> None:
    """As its own page said at the time."""
    price = catalog.price_on("deepseek", f"deepseek/{model}", moment)
    assert price is not None and price.rates.input == parse_rate(usd)


def test_every_id_that_a_row_may_bear_has_its_list_rates(catalog: Catalog) -> None:
    """What a study compares a charge with: also of the hours of a price."""
    price = catalog.price_on("deepseek", "deepseek/deepseek-chat", "2025-03-01T20:00Z")
    assert price is not None
    assert list_rates(catalog)[price.price_id] == (parse_rate("0.135"), parse_rate("0.55"))


def entry(**of_price: object) -> EndpointConfig:
    price = PriceConfig(**({"input": "2", "output": "4"} | of_price))  # type: ignore[arg-type]
    return EndpointConfig(provider="deepseek", model="own", price=price)


def test_an_operators_price_may_have_hours_in_any_currency(catalog: Catalog) -> None:
    """In yuan, half at night in Shanghai; both at the day's rate of exchange."""
    night = WindowConfig(hours="00:30-08:30 Asia/Shanghai", input="1", output="2")
    (at_night,) = served_endpoints(
        {}, [entry(currency="CNY", windows=(night,))], catalog, {}, "2026-11-20T16:30Z", False
    )
    (by_day,) = served_endpoints({}, [entry(currency="CNY", windows=(night,))], catalog, {}, "2026-11-21T00:30Z", False)
    assert at_night.price is not None and by_day.price is not None
    assert abs(at_night.price.rates.input * 2 - by_day.price.rates.input) <= 1
    assert at_night.price.price_id == f"{by_day.price.price_id}~00:30-08:30_Asia/Shanghai"
    assert at_night.price.at(moment_us("2026-11-21T00:30Z")).rates == by_day.price.rates


def test_prices_hold_until_the_next_of_all_their_hours(catalog: Catalog) -> None:
    """Or midnight, where no hour begins before."""
    windows = (WindowConfig(hours="09:00-10:00", input="1", output="1"),)
    endpoints = served_endpoints({}, [entry(windows=windows), entry()], catalog, {}, DAY, False)
    for now, until in (("08:00", f"{DAY}T09:00Z"), ("09:00", f"{DAY}T10:00Z"), ("10:00", "2026-11-23")):
        assert prices_hold_until(endpoints, moment_us(f"{DAY}T{now}Z")) == moment_us(until)


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        (({"hours": "9 to 5"},), "neither hours"),
        (({"hours": "09:00-17:00 Asia/Shanghi"},), "Asia/Shanghai"),
        (({"hours": "09:00-17:00"}, {"hours": "17:00-18:00 completed"}), "goes by one of both"),
        (({"hours": "09:00-17:00"}, {"hours": "09:00-17:00"}), "same hours and days"),
    ],
)
def test_hours_that_are_none_are_refused_at_the_start(
    catalog: Catalog, windows: tuple[dict[str, str], ...], told: str
) -> None:
    """With the entry, what was seen, and the mend."""
    made = tuple(WindowConfig(input="1", output="1", **one) for one in windows)
    with pytest.raises(CatalogError, match=r"\[\[endpoints\]\] 'own' at 'deepseek': price.*" + told):
        served_endpoints({}, [entry(windows=made)], catalog, {}, DAY, False)


def test_an_installations_own_table_of_prices_wins(tmp_path: Path) -> None:
    """Over what a sync wrote into the same folder, hours and all."""
    line = "openai,openai/gpt-4o-mini,,{},0,gpt-4o-mini,open,{},9,,,,,,mine,2026-11-22"
    rows = [line.format("", 7), line.format("mon-fri 08:00-18:00 Europe/Berlin", 8)]
    (tmp_path / OWN_PRICES).write_text("\n".join([",".join(PRICE_COLUMNS), *rows]) + "\n")
    (tmp_path / "prices.csv").write_text("\n".join([",".join(PRICE_COLUMNS), line.format("", 5)]) + "\n")
    known = load_catalog([tmp_path])
    for moment, expected in (("2026-11-23T07:00Z", 8), ("2026-11-23T17:00Z", 7), ("2026-07-20T06:00Z", 8)):
        price = known.price_on("openai", "openai/gpt-4o-mini", moment)
        assert price is not None and price.rates.input == expected, moment


@pytest.mark.parametrize(
    ("model", "moment", "usd"),
    [
        ("acme/large", "2026-11-23T12:00Z", "0.50"),
        ("acme/large", "2026-11-23T21:30Z", "0.25"),
        ("acme/large", "2026-11-28T04:00Z", "0.25"),  # Saturday at five in Berlin: the night of Friday
        ("acme/large", "2026-11-28T12:00Z", "0.20"),
        ("acme/large", "2026-12-26T12:00Z", "0.50"),
        ("haihe/chat", "2026-11-23T12:00Z", "0.300622"),  # 2 x 1.1172 / 7.4326
        ("haihe/chat", "2026-11-23T17:00Z", "0.150311"),
    ],
)
def test_the_how_to_page_says_what_a_call_costs(tmp_path: Path, model: str, moment: str, usd: str) -> None:
    """Its configuration, served at a moment."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "hourly-prices.md"
    (tmp_path / "tidegate.toml").write_text("\n".join(re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)))
    config = load_config([tmp_path / "tidegate.toml"], {"TIDEGATE_HOME": str(tmp_path)})
    served = served_endpoints(config.providers, config.endpoints, load_catalog(), {}, moment, False)
    price = next(endpoint.price for endpoint in served if endpoint.model == model)
    assert price is not None and round(price.rates.input / 1e9, 6) == float(usd)


UNREAD = "its off-peak hours cannot be read"


@pytest.mark.parametrize(
    ("schedule", "at_two", "at_noon", "note"),
    [
        ({"hours_utc": "16:30-03:00", "input_cost_per_token": 1e-7}, 100, 200, ""),
        ({"hours_utc": ["01:00-04:00", "11:00-13:00"], "input_cost_per_token": 1e-7}, 100, 100, ""),
        ({"hours_utc": "05:00-05:00", "input_cost_per_token": 1e-7}, 100, 100, ""),
        ({"hours_utc": "at night", "input_cost_per_token": 1e-7}, 200, 200, "its off-peak hours cannot be read"),
        (
            {"hours_utc": "01:00-03:00", "days": [1], "input_cost_per_token": 1e-7},
            200,
            200,
            "its off-peak hours cannot be read",
        ),
    ],
)
def test_litellms_off_peak_hours_are_read(
    tmp_path: Path, schedule: dict[str, object], at_two: int, at_noon: int, note: str
) -> None:
    """As its documentation has them: one range or several, in UTC, past midnight, or a whole day."""
    entry = {
        "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-7, "output_cost_per_token": 4e-7,
        "off_peak_pricing": schedule,
    }  # fmt: skip
    wheel = tmp_path / "litellm-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, json.dumps({"gpt-4o-mini": entry}))
    facts = list(read_litellm(wheel, {"openai": "openai"}))
    tables = merge(facts, read_overlay(DATA), DAY, (), ())
    (price,) = prices_of_lines(line for line in tables.prices if line.model == "openai/gpt-4o-mini")
    seen = [price.at(moment_us(f"2026-11-22T{clock}Z")).rates for clock in ("02:00", "12:00")]
    assert [rates.input for rates in seen] == [at_two * 10**6, at_noon * 10**6]
    assert {rates.output for rates in seen} == {400 * 10**6}, "what it does not say stays"
    assert [told for _, _, told in tables.notes] == ([note] if note else [])
