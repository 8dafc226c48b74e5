"""Numbers in English and Chinese words, against values written out by hand."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.market.words import NumberWordError, amounts, parse_amount


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("114.2 万亿次", 114_200_000_000_000),
        ("超100万亿token", 100_000_000_000_000),
        ("6.02 亿", 602_000_000),
        ("月均…500 亿次以上", 50_000_000_000),
        ("3千万亿", 3_000_000_000_000_000),
        ("1,300,000 tokens", 1_300_000),
        ("1.3 quadrillion", 1_300_000_000_000_000),
        ("15 billion tokens a minute", 15_000_000_000),
        ("16.4T", 16_400_000_000_000),
        ("15B", 15_000_000_000),
        ("超20K tokens", 20_000),
        ("two hundred and fifty billion", 250_000_000_000),
        ("twenty-five million", 25_000_000),
        ("三千二百万", 32_000_000),
        ("一万亿", 1_000_000_000_000),
        ("两万亿", 2_000_000_000_000),
        ("一点五亿", 150_000_000),
        ("五百億", 50_000_000_000),
        ("日均10.5萬億", 10_500_000_000_000),
        ("１２３万", 1_230_000),
        ("十二万", 120_000),
    ],
)
def test_a_number_in_words_is_exact(text: str, value: int) -> None:
    assert parse_amount(text).value == value


@pytest.mark.parametrize(
    ("text", "value"), [("四成", 40), ("百分之五", 5), ("50%以上", 50), ("三分之二", Decimal(200) / 3)]
)
def test_parts_of_a_whole_are_percent(text: str, value: Decimal) -> None:
    found = parse_amount(text)
    assert found.unit == "percent" and abs(found.value - value) < Decimal("1e-9")


def test_a_multiple_says_that_it_is_one() -> None:
    assert [(one.value, one.unit) for one in amounts("接近 5 倍, 3x, 8 times")] == [
        (5, "multiple"),
        (3, "multiple"),
        (8, "multiple"),
    ]


@pytest.mark.parametrize("locale", ["zh-TW", "zh-HK", "ja"])
def test_zhao_is_a_trillion_in_taiwan_hong_kong_and_japan(locale: str) -> None:
    assert parse_amount("3.5兆", locale=locale).value == 3_500_000_000_000


def test_zhao_is_a_million_in_mainland_computing_and_refused_without_a_locale() -> None:
    assert parse_amount("3.5兆", locale="zh-CN").value == 3_500_000
    with pytest.raises(NumberWordError, match="give the publisher's"):
        parse_amount("3.5兆")


def test_a_billion_is_long_where_the_language_says_so() -> None:
    assert parse_amount("2 Billionen", locale="de").value == 2 * 10**12
    assert parse_amount("2 Milliarden", locale="de").value == 2 * 10**9
    assert parse_amount("2 billion", locale="en").value == 2 * 10**9


@pytest.mark.parametrize("text", ["半壁江山", "低出数倍", "几分钱", "权重最高", "leader", "一些"])
def test_words_that_are_no_number_stay_text(text: str) -> None:
    assert amounts(text) == ()


def test_the_step_is_one_unit_of_the_last_printed_digit() -> None:
    assert parse_amount("114.2万亿").step == 10**11
    assert parse_amount("500亿").step == 10**8
    assert parse_amount("49.2%").step == Decimal("0.1")


UNITS = {"": 0, "千": 3, "万": 4, "百万": 6, "千万": 7, "亿": 8, "百亿": 10, "万亿": 12, "千万亿": 15}
DIGITS = "零一二三四五六七八九"


@given(st.integers(1, 99_999), st.integers(0, 3), st.sampled_from(sorted(UNITS)))
def test_figures_with_a_chinese_unit_are_figure_times_unit(figure: int, places: int, unit: str) -> None:
    printed = Decimal(figure).scaleb(-places)
    assert parse_amount(f"{printed:f}{unit}").value == printed * Decimal(10) ** UNITS[unit]


def spelled(number: int) -> str:
    """1 to 9999 in characters, written independently of the parser."""
    text, gap = "", False
    for power, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // power % 10
        if digit:
            text += ("零" if gap and text else "") + DIGITS[digit] + name
            gap = False
        else:
            gap = True
    return text


@given(st.integers(11, 9999), st.sampled_from(["", "万", "亿", "万亿"]))
def test_numbers_in_characters_are_read_back(number: int, unit: str) -> None:
    assert parse_amount(spelled(number) + unit).value == number * 10 ** UNITS[unit]


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    for one in amounts(text, locale="zh-CN"):
        assert one.value >= 0 and one.step > 0
