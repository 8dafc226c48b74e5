"""Numbers as words, in English and Chinese, read to exact values before anything is compared.

Short scale in English (billion = 1e9). 兆 is 1e12 in Taiwan, Hong Kong and Japan and 1e6 in mainland computing:
without the publisher's locale it is ambiguous, and refused. Words such as 几 or 半壁江山 stay text.
"""

import re
import unicodedata
from decimal import Decimal

import msgspec

from tidegate.core.errors import TidegateError


class NumberWordError(TidegateError):
    """A number that may be read in two ways; the text says which."""


class Amount(msgspec.Struct, frozen=True):
    """A number as printed. step: one unit of its last printed digit, so that it stands for value +/- step / 2."""

    value: Decimal
    step: Decimal
    unit: str = ""  # "percent", "multiple" or nothing
    text: str = ""


CJK_SCALE = {"十": 1, "百": 2, "千": 3, "万": 4, "亿": 8, "京": 16}
CJK_DIGIT = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
TRADITIONAL = str.maketrans("萬億點個幾餘", "万亿点个几余")
ENGLISH_SCALE = {
    **dict.fromkeys(("thousand", "k"), 3),
    **dict.fromkeys(("million", "mn", "mln", "m"), 6),
    **dict.fromkeys(("billion", "bn", "bln", "b"), 9),
    **dict.fromkeys(("trillion", "tn", "trn", "t"), 12),
    "quadrillion": 15,
    "quintillion": 18,
    "hundred": 2,
}
LONG_SCALE = {"million": 6, "milliard": 9, "milliarde": 9, "billion": 12, "billiarde": 15, "trillion": 18}
LONG_LOCALES = ("de", "fr", "es", "it", "pl")
MEGA = {"zh-TW": 12, "zh-HK": 12, "zh-Hant": 12, "ja": 12, "zh-CN": 6, "zh-Hans": 6}  # 兆 by locale
ENGLISH_SMALL = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
} | {
    word: 10 * tens
    for tens, word in enumerate(
        [
            "twenty",
            "thirty",
            "forty",
            "fifty",
            "sixty",
            "seventy",
            "eighty",
            "ninety",
        ],
        2,
    )
}

_FIGURE = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_SCALED = re.compile(
    rf"(?<![A-Za-z0-9_])(?<!\d\.)(?P<figure>{_FIGURE})\s*-?(?P<cjk>[十百千万亿兆京]*)(?:\s*(?P<en>[A-Za-z]+))?"
    r"(?P<tail>\s*[%‰倍成])?"
)
_CJK = re.compile(r"(?P<percent>百分之)?(?P<body>[零〇一二两三四五六七八九十百千万亿兆点]+)(?P<tail>[倍成%])?")
_FRACTION = re.compile(r"([一二两三四五六七八九十百]+)分之([一二两三四五六七八九十百]+)")
_FIRST = "|".join([*ENGLISH_SMALL, "hundred", "a"])
_NEXT = "|".join([*ENGLISH_SMALL, "and", *ENGLISH_SCALE])
_ENGLISH = re.compile(rf"\b(?:{_FIRST})(?:[ -](?:{_NEXT}))*\b")


def amounts(text: str, *, locale: str = "") -> tuple[Amount, ...]:
    """Every number in a text, in order. Dates and names bring theirs too: the caller knows what it looks for."""
    text = unicodedata.normalize("NFKC", text).translate(TRADITIONAL)
    found: list[tuple[int, Amount]] = []
    taken = [False] * len(text)

    def take(match: re.Match[str], amount: Amount | None) -> None:
        if amount is not None and not any(taken[match.start() : match.end()]):
            taken[match.start() : match.end()] = [True] * (match.end() - match.start())
            found.append((match.start(), amount))

    for match in _FRACTION.finditer(text):
        if match[1] != "百":
            below, above = _cjk_value(match[1], locale), _cjk_value(match[2], locale)
            take(match, Amount(above / below * 100, Decimal(1), "percent", match[0]) if below else None)
    for match in _SCALED.finditer(text):
        take(match, _scaled(match, locale))
    for match in _CJK.finditer(text):
        take(match, _cjk(match, locale))
    for match in _ENGLISH.finditer(text.lower()):
        take(match, _english(match[0]))
    return tuple(amount for _, amount in sorted(found, key=lambda pair: pair[0]))


def parse_amount(text: str, *, locale: str = "") -> Amount:
    """The one number of a text; NumberWordError where there is none or several."""
    found = amounts(text, locale=locale)
    if len(found) != 1:
        seen = ", ".join(amount.text for amount in found) or "none"
        raise NumberWordError(f"one number was looked for in {text!r} and {seen} found; pass the number alone")
    return found[0]


def _scaled(match: re.Match[str], locale: str) -> Amount | None:
    cjk, word = match["cjk"] or "", (match["en"] or "").lower()
    tail = (match["tail"] or "").strip()
    digits = Decimal(match["figure"].replace(",", ""))
    scale = Decimal(10) ** _cjk_power(cjk, locale)
    long = LONG_SCALE if locale.split("-")[0] in LONG_LOCALES else {}
    forms = (word, word.removesuffix("s"), word.removesuffix("n"), word.removesuffix("en"), word.removesuffix("es"))
    table = {**ENGLISH_SCALE, **long}
    scale *= Decimal(10) ** next((table[form] for form in forms if form in table), 0)
    unit = {"%": "percent", "成": "percent", "倍": "multiple"}.get(tail, "")
    unit = unit or {"percent": "percent", "pct": "percent", "x": "multiple", "times": "multiple"}.get(word, "")
    if tail == "成":
        scale *= 10
    step = Decimal(1).scaleb(int(digits.as_tuple().exponent))
    return Amount(digits * scale, step * scale, unit, match[0].strip())


def _cjk_power(characters: str, locale: str) -> int:
    """万亿 is 12, 千万亿 15: written one after the other, scales multiply."""
    return sum(_mega(locale) if c == "兆" else CJK_SCALE[c] for c in characters)


def _mega(locale: str) -> int:
    if locale not in MEGA:
        raise NumberWordError(
            f"兆 is 1e12 in Taiwan, Hong Kong and Japan and 1e6 in mainland computing; the locale is {locale!r}: "
            f"give the publisher's, one of {', '.join(MEGA)}"
        )
    return MEGA[locale]


def _cjk(match: re.Match[str], locale: str) -> Amount | None:
    """A number in characters alone. One bare character is as often a word (一些, 万事) as a number: not read."""
    body, tail = match["body"], match["tail"] or ""
    if not any(c in CJK_DIGIT or c == "十" for c in body) or (len(body) < 2 and not (tail or match["percent"])):
        return None
    value = _cjk_value(body, locale)
    step = Decimal(1)
    for character in reversed(body):
        if character not in CJK_SCALE and character != "兆":
            break
        step *= Decimal(10) ** _cjk_power(character, locale)
    if tail == "成":
        value, step = value * 10, step * 10
    unit = "multiple" if tail == "倍" else "percent" if match["percent"] or tail else ""
    return Amount(value, step, unit, match[0])


def _cjk_value(body: str, locale: str) -> Decimal:
    """三千二百万 -> 32,000,000; 十二 -> 12; 一点五亿 -> 150,000,000; 二〇二五 -> 2025."""
    for big in ("兆", "亿", "万"):  # the largest scale splits the rest: 一万亿 = 一万 x 亿
        head, mark, rest = body.rpartition(big) if big == "亿" else body.partition(big)
        if mark:
            power = _mega(locale) if big == "兆" else CJK_SCALE[big]
            left = _cjk_value(head, locale) if head else Decimal(1)
            return left * Decimal(10) ** power + (_cjk_value(rest, locale) if rest else 0)
    if "点" in body:
        head, _, rest = body.partition("点")
        return _cjk_value(head, locale) + Decimal("0." + "".join(str(CJK_DIGIT.get(c, 0)) for c in rest))
    if body and all(c in CJK_DIGIT for c in body):
        return Decimal("".join(str(CJK_DIGIT[c]) for c in body))
    total, digit = 0, None
    for character in body:
        if character in CJK_DIGIT:
            digit = CJK_DIGIT[character]
        else:
            total += (1 if digit is None else digit) * 10 ** CJK_SCALE[character]
            digit = None
    return Decimal(total + (digit or 0))


def _english(words: str) -> Amount | None:
    """`two hundred and fifty billion`; a lone `one` or `a` is rarely a number."""
    parts = [word for word in re.split(r"[ -]", words) if word != "and"]
    if parts in (["a"], ["one"]) or (parts[0] == "a" and (len(parts) < 2 or parts[1] not in ENGLISH_SCALE)):
        return None
    total, current = Decimal(0), Decimal(0)
    for word in parts:
        if word == "a":
            current = Decimal(1)
        elif word in ENGLISH_SMALL:
            current += ENGLISH_SMALL[word]
        elif word == "hundred":
            current = (current or Decimal(1)) * 100
        else:
            total += (current or Decimal(1)) * Decimal(10) ** ENGLISH_SCALE[word]
            current = Decimal(0)
    value = total + current
    return Amount(
        value, Decimal(10) ** max(0, value.adjusted() - len(value.normalize().as_tuple().digits) + 1), "", words
    )
