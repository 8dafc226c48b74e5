"""The language of a prompt, as a BCP 47 tag: by script where the script decides, by `py3langid` where several share it.

A prompt mixes: a Chinese question about a Python file is Chinese. So code is taken out first (`prose.py`), then the
script that most of the writing is in is found, and only words in that script are judged, among languages written in
it. `zxx` (no linguistic content) is a prompt that is all code; None is one that gives nothing away ("ok", "?", "42").
Chinese is `zh-Hans` or `zh-Hant` by its characters, or `yue` where it is written as Cantonese is spoken; Hindi in
Latin letters, which the detector does not know, is `hi-Latn`.
"""

import copy
import functools
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Final

from tidegate.labels.prose import prose_of, unquoted

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]

CODE: Final = "zxx"
JUDGED_CHARS_MAX: Final = 4_000  # of the words; more of them change nothing
OWN_LETTERS_MIN: Final = 12  # outside quotation marks: then what is quoted is not asked for its language
LETTERS_MIN: Final = 4  # of an alphabet: "ok" is a word of most languages

DECIDED: Final = {  # script, as in the names of Unicode characters -> the language that alone is common in it
    "HANGUL": "ko", "THAI": "th", "GREEK": "el", "TAMIL": "ta", "TELUGU": "te", "KANNADA": "kn", "MALAYALAM": "ml",
    "GUJARATI": "gu", "GURMUKHI": "pa", "ORIYA": "or", "SINHALA": "si", "KHMER": "km", "LAO": "lo", "MYANMAR": "my",
    "GEORGIAN": "ka", "ARMENIAN": "hy", "ETHIOPIC": "am", "TIBETAN": "bo", "HEBREW": "he", "BENGALI": "bn",
}  # fmt: skip
SHARED: Final = {  # script -> (languages usual in prompts, others that are judged only when clearly meant)
    "LATIN": (
        ("en", "es", "fr", "de", "pt", "it", "nl", "pl", "tr", "id", "vi", "cs", "ro", "hu", "sv", "fi", "da", "no"),
        ("sk", "hr", "sl", "lt", "lv", "et", "ca", "tl", "ms", "sw", "af", "sq", "az", "eu", "gl", "is", "ga", "cy",
         "uz", "so", "ha", "yo", "zu", "xh", "ig", "mt", "eo", "la", "sr", "bs", "jv", "rw", "mg", "ht", "ku"),
    ),
    "CYRILLIC": (("ru", "uk"), ("bg", "sr", "be", "mk", "kk", "ky", "mn", "tg", "tt", "uz")),
    "ARABIC": (("ar", "fa", "ur"), ("ps", "ug", "ku", "sdh")),
    "DEVANAGARI": (("hi",), ("mr", "ne")),
}  # fmt: skip
UNUSUAL_PRIOR: Final = 0.15
"""How likely an unusual language is beside a usual one before a word is read. Ours; prompts of three words need one."""

LETTERS_PER_HAN: Final = 3
"""A Han character says as much as about three letters; so a Chinese question full of English names stays Chinese."""

LETTERS_PER_ASKING_HAN: Final = 6
_ASKING: Final = frozenset("我请請帮幫吗嗎怎把给給么麼呢吧写寫改翻译譯将將")
"""Characters of somebody who asks in Chinese, not of a word that is asked about: then each Han character says more."""

_CANTONESE: Final = frozenset("嘅咗喺啲嚟冇佢哋乜嘢噉嗰咁唔咩㗎喎啦嘞氹啱")
_CANTONESE_ONLY: Final = frozenset("嘅咗喺啲嚟冇哋嘢噉嗰㗎喎嘞氹")
_HINDI_LATIN_SURE: Final = frozenset(
    """hai hain kya nahi nahin kaise kaisa hoon mujhe aap raha rahi kyun batao accha aur mein bhai chahiye sakte
    hoga karna karte kuch""".split()  # noqa: SIM905 - prose is easier to read and to extend
)
_HINDI_LATIN: Final = _HINDI_LATIN_SURE | frozenset(
    """main tum mera meri mere kaisi hun tha thi the rahe kar karo lekin kyon kab kahan kaun yeh ye woh wo tumhara aapka
    aapke acha achha bolo ko ki ka ke se bhi toh to hota hoti hote hum humein koi sab abhi apna apne apni liye sakta
    sakti hindi matlab ek tera teri tere tu na haan ji naam ghar din dost baat bahut bohot thik theek ho gaya gayi diya
    liya jao pata kitna kitne kaha wala wali wale par pe per jab tak agar phir""".split()  # noqa: SIM905
)


def detect(text: str) -> str | None:
    """The tag of a prompt's language; `zxx` for code without words, None where nothing can be said."""
    prose = prose_of(text)
    words = unicodedata.normalize("NFC", prose.text)[:JUDGED_CHARS_MAX]
    own = unquoted(words)
    if _scripts(own).total() >= OWN_LETTERS_MIN:
        words = own
    weights = _scripts(words)
    if not weights:
        return CODE if prose.has_code else None
    script, weight = max(weights.items(), key=lambda item: (item[1], item[0]))
    if prose.has_code and weight < 2 * LETTERS_MIN:
        return CODE
    if script in ("CJK", "KANA"):
        return "ja" if _is_japanese(weights) else _chinese(words)
    if script in DECIDED:
        return _yiddish_or(words) if script == "HEBREW" else DECIDED[script]
    if weight < LETTERS_MIN or script not in SHARED:
        return None
    return _among(script, _only(words, script))


def _scripts(text: str) -> Counter[str]:
    """Weight of each script in a text: its letters, where a Han character or kana counts as several."""
    chars = Counter(text)
    per_han = LETTERS_PER_HAN if _ASKING.isdisjoint(chars) else LETTERS_PER_ASKING_HAN
    found: Counter[str] = Counter()
    for char, count in chars.items():
        script = _script(char)
        if script:
            found[script] += count * (per_han if script in ("CJK", "KANA") else 1)
    return found


@functools.lru_cache(maxsize=16_384)
def _script(char: str) -> str:
    """The script of a letter or of a mark on one, by the first word of its Unicode name; '' for anything else."""
    if char.isascii():
        return "LATIN" if char.isalpha() else ""
    if unicodedata.category(char)[0] not in "LM":
        return ""
    word = unicodedata.name(char, "").replace("-", " ").partition(" ")[0]
    if word in ("HIRAGANA", "KATAKANA"):
        return "KANA"
    return word if word in DECIDED or word in SHARED or word == "CJK" else ""


def _is_japanese(weights: Counter[str]) -> bool:
    """Kana stand between the characters of any Japanese sentence; Chinese has a stray one at most."""
    return weights["KANA"] * 10 > weights["CJK"]


def _chinese(text: str) -> str:
    han = [char for char in text if _script(char) == "CJK"]
    spoken = sum(char in _CANTONESE for char in han)
    if any(char in _CANTONESE_ONLY for char in han) and spoken * 25 >= len(han):
        return "yue"
    kinds = Counter(map(_kind_of_han, han))
    return "zh-Hant" if kinds["Hant"] > kinds["Hans"] else "zh-Hans"


@functools.lru_cache(maxsize=16_384)
def _kind_of_han(char: str) -> str:
    """A character that only the simplified (GB 2312) or only the traditional (Big5) national set has tells which.

    Most characters are in both and tell nothing; text of those alone is taken as simplified, which most prompts are.
    """
    simplified, traditional = _encodes(char, "gb2312"), _encodes(char, "big5")
    return "" if simplified == traditional else "Hans" if simplified else "Hant"


def _encodes(char: str, charset: str) -> bool:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _yiddish_or(words: str) -> str:
    """Yiddish writes its vowels: a text in Hebrew letters with many of װ ױ ײ אַ אָ is Yiddish."""
    marks = sum(words.count(mark) for mark in ("װ", "ױ", "ײ", "אַ", "אָ"))
    return "yi" if marks * 20 > len(words) else "he"


def _only(text: str, script: str) -> str:
    """The words that are written in one script; the names and terms in others would mislead the detector."""
    kept = [word for word in text.split() if any(_script(char) == script for char in word)]
    return " ".join(kept)


@functools.cache
def _loaded() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def _identifier(script: str) -> "LanguageIdentifier":
    """The detector for the languages of one script; the model is read once, a script costs only its own columns."""
    identifier = copy.copy(_loaded())
    usual, unusual = SHARED[script]
    identifier.set_languages([*usual, *unusual])
    return identifier


def _among(script: str, words: str) -> str | None:
    if script == "LATIN" and _is_hindi_in_latin(words):
        return "hi-Latn"
    usual = frozenset(SHARED[script][0])
    ranked: list[tuple[str, float]] = _identifier(script).rank(words)
    weighed = [(odds if tag in usual else odds * UNUSUAL_PRIOR, tag) for tag, odds in ranked]
    return max(weighed)[1]


def _is_hindi_in_latin(words: str) -> bool:
    found = ["".join(filter(str.isalpha, word)).lower() for word in words.split()]
    known = sum(word in _HINDI_LATIN for word in found)
    return known * 10 >= len(found) * 3 and sum(word in _HINDI_LATIN_SURE for word in found) >= min(2, len(found))
