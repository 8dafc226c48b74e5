"""Languages of prompts, of our own making; what other people's samples say is measured at the end."""

import csv
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.labels.language import CODE, detect
from tidegate.labels.prose import TEXT_CHARS_MAX, clipped, is_code_line, prose_of, unwrapped

SAMPLES = Path("/work/shared/data/prompts/language_samples.csv")

WRITTEN = {
    "en": "Could you help me plan a birthday party for my grandmother next weekend?",
    "de": "Kannst du mir bitte erklären, warum der Himmel abends rot wird?",
    "fr": "Peux-tu me donner une recette simple pour le dîner de ce soir ?",
    "es": "¿Me ayudas a escribir una carta para mi jefe sobre las vacaciones?",
    "pt": "Você pode me ajudar a escrever uma mensagem para o meu chefe?",
    "it": "Mi puoi spiegare come funziona il motore della macchina?",
    "nl": "Kun je me uitleggen waarom de zee zout is?",
    "pl": "Czy możesz mi pomóc napisać list do urzędu?",
    "tr": "Yarın için bana kısa bir konuşma hazırlayabilir misin?",
    "vi": "Bạn có thể giúp tôi viết một bức thư cho cô giáo không?",
    "cs": "Můžeš mi prosím pomoct napsat dopis pro naši školu?",
    "sv": "Kan du hjälpa mig att skriva ett brev till min lärare?",
    "fi": "Voisitko auttaa minua kirjoittamaan kirjeen opettajalle?",
    "hu": "Tudnál segíteni megírni egy levelet a tanáromnak?",
    "ro": "Mă poți ajuta să scriu o scrisoare pentru profesoara mea?",
    "id": "Tolong bantu saya menulis surat untuk guru anak saya di sekolah.",
    "ru": "Помоги мне, пожалуйста, написать письмо учителю.",
    "uk": "Допоможи мені, будь ласка, написати листа вчительці.",
    "el": "Μπορείς να με βοηθήσεις να γράψω ένα γράμμα;",
    "he": "אתה יכול לעזור לי לכתוב מכתב למורה?",
    "ar": "هل يمكنك مساعدتي في كتابة رسالة إلى المعلم؟",
    "fa": "می‌توانی به من کمک کنی که یک نامه برای معلم بنویسم؟",
    "ur": "کیا آپ استاد کے لیے خط لکھنے میں میری مدد کر سکتے ہیں؟",
    "hi": "क्या आप मुझे शिक्षक के लिए पत्र लिखने में मदद कर सकते हैं?",
    "hi-Latn": "bhai mujhe batao ki resume kaise banaye, kuch samajh nahi aa raha hai",
    "bn": "আপনি কি আমাকে শিক্ষকের জন্য একটি চিঠি লিখতে সাহায্য করতে পারেন?",
    "ta": "ஆசிரியருக்கு ஒரு கடிதம் எழுத எனக்கு உதவ முடியுமா?",
    "th": "ช่วยเขียนจดหมายถึงคุณครูให้หน่อยได้ไหม",
    "ko": "선생님께 드릴 편지를 쓰는 것을 도와줄 수 있나요?",
    "ja": "先生に送る手紙を書くのを手伝ってください。",
    "zh-Hans": "请帮我给老师写一封信，说明孩子今天为什么请假。",
    "zh-Hant": "請幫我給老師寫一封信，說明孩子今天為什麼請假。",
    "yue": "佢哋係咪聽日先嚟呀？我唔知點樣同老師講呢件事喎。",
}

PYTHON = """import os
from pathlib import Path

def walk(root):
    for path in Path(root).rglob("*.py"):
        total += len(path.read_text().splitlines())
    return total
"""


@pytest.mark.parametrize("tag", WRITTEN)
def test_a_sentence_tells_its_language(tag):
    assert detect(WRITTEN[tag]) == tag


@pytest.mark.parametrize("tag", ["zh-Hans", "zh-Hant", "ru", "en", "ja", "de"])
def test_code_in_a_prompt_does_not_change_its_language(tag):
    """A file that is asked about is not what the writer speaks."""
    assert detect(f"{WRITTEN[tag]}\n```python\n{PYTHON}```") == tag
    assert detect(f"{WRITTEN[tag]}\n\n{PYTHON}\n") == tag


@pytest.mark.parametrize(
    "code",
    [
        PYTHON,
        f"```\n{PYTHON}\n```",
        '{"name": "x", "items": [1, 2, 3], "ok": true}',
        "SELECT id, sum(cost) FROM rows WHERE day > '2026-01-01' GROUP BY id;",
        "#include <stdio.h>\nint main(void) {\n  return 0;\n}\n",
        "const x = await fetch(url);\nif (!x.ok) {\n  throw new Error(x.status);\n}",
        "Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\nKeyError: 'x'",
        "docker run --rm -it python:3.11\n$ ls -la /tmp",
    ],
)
def test_a_prompt_that_is_all_code_has_no_language(code):
    """`zxx` is BCP 47 for no linguistic content."""
    assert detect(code) == CODE


@pytest.mark.parametrize("text", ["", " ", "?", "42", "ok", "🙂🙂", "12:30 - 14:00", "…"])
def test_what_gives_nothing_away_has_no_label(text):
    """Null, not a guess."""
    assert detect(text) is None


@pytest.mark.parametrize(
    "line",
    [
        "For a friend who likes tea, write a short poem about the rain.",
        "While we wait for the train, tell me a story with a happy end.",
        "If you were a lawyer, how would you read this clause?",
        "Return to the village and ask the old woman about the sword.",
        "Select the three best names for a bakery and say why.",
        "import duties on solar panels: what changed this year in Europe?",
        "Class starts at nine and I am late, what do I tell my teacher?",
    ],
)
def test_sentences_that_begin_like_code_are_sentences(line):
    assert not is_code_line(line)
    assert detect(line) == "en"


def test_a_chinese_question_full_of_english_names_is_chinese():
    assert detect("帮我用 FastAPI 和 SQLAlchemy 写一个 REST endpoint，返回 JSON response 并加上 unit test") == "zh-Hans"


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("3斤等于多少克？1990年的价格呢", "zh-Hans"),
        ("已知函数 f(x)=x^2+3x，求 f'(x) 在 x=2 处的值", "zh-Hans"),
        ("y = 3x^2 + 2x 를 미분하시오.", "ko"),
        ("翻译：“The early bird catches the worm.”", "zh-Hans"),
        ('把 "I have never been to a place like this before" 翻译成中文', "zh-Hans"),
        ('Translate "Können Sie mir bitte sagen, wo der Bahnhof ist?" into plain English', "en"),
        ("Übersetze ins Englische: „Wo ist der Bahnhof?“ und „Wie spät ist es?“", "de"),
    ],
)
def test_formulas_and_quotations_do_not_decide(text, tag):
    assert detect(text) == tag


def test_an_english_question_about_chinese_words_is_english():
    assert detect("Translate 你好世界 to English and explain each character") == "en"


def test_simplified_and_traditional_are_told_apart_by_their_own_characters():
    """Characters of both sets say nothing; the ones of a single set decide."""
    assert detect("如何学习编程语言") == "zh-Hans"
    assert detect("如何學習程式語言") == "zh-Hant"
    assert detect("你好") == "zh-Hans"  # in both sets; most prompts are simplified


def test_what_agents_wrap_around_a_turn_is_not_the_users():
    wrapped = f"<system-reminder>\nAs you answer, use this context.\n</system-reminder>\n{WRITTEN['ru']}"
    assert unwrapped(wrapped).strip() == WRITTEN["ru"]
    assert detect(unwrapped(wrapped)) == "ru"


@pytest.mark.parametrize("name", ["system-reminder", "environment_details", "rules"])
def test_only_closed_blocks_are_left_out(name):
    assert unwrapped(f"a <{name}>x</{name}> b <{name} k='v'>y</{name}> c").split() == ["a", "b", "c"]
    assert unwrapped(f"a <{name}> b") == f"a <{name}> b"
    assert unwrapped(f"<{name}>all</{name}>") == f"<{name}>all</{name}>"
    assert unwrapped(f"a </{name}> <{name}> b") == f"a </{name}> <{name}> b"


@pytest.mark.parametrize(
    "piece",
    ["a", " ", "-", "a.", "a/", "/", "<", "<rules>", "```\n", "`", "return ", "return" + " " * 50, "a_", "aA", "1", "{",
     "x = ", '"a": ', "\n", "嘅", "ا", "<a b=", "@", "a@", "select ", "~~~\n", "public a ", ". "],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", ".", "!x"])
def test_no_prompt_takes_long_to_read(piece, end):
    """Whoever calls may send anything: reading it costs about its length, not the square of it."""
    text = unwrapped(piece * (400_000 // len(piece)) + end)
    began = time.process_time()
    detect(text)
    unwrapped(text)
    assert time.process_time() - began < 1.5


def test_addresses_and_identifiers_are_not_words():
    prose = prose_of(
        "guck dir https://example.com/the/great/big/house und /usr/local/lib/python an, bitte my_variable_name"
    )
    assert "great" not in prose.text and "usr" not in prose.text and "variable" not in prose.text
    assert "guck" in prose.text


def test_a_long_prompt_is_read_at_both_ends():
    text = clipped("a" * TEXT_CHARS_MAX + "b" * TEXT_CHARS_MAX)
    assert len(text) == TEXT_CHARS_MAX + 1 and text.startswith("a") and text.endswith("b")


@given(st.text(max_size=300))
def test_any_text_has_a_tag_or_none(text):
    """Nothing that a caller can send stops the labeller."""
    found = detect(text)
    assert found is None or 2 <= len(found) <= 8


@given(st.sampled_from(sorted(WRITTEN)), st.integers(1, 40))
def test_saying_it_again_does_not_change_the_language(tag, times):
    assert detect(" ".join([WRITTEN[tag]] * times)) == tag


@pytest.mark.skipif(not SAMPLES.is_file(), reason="the language samples are not on this machine")
def test_language_accuracy_on_other_peoples_samples():
    """1,011 sentences in 38 languages that nothing here was made from: at least 95 % right, Chinese by its script."""
    rows = list(csv.DictReader(SAMPLES.read_text("utf-8").splitlines(keepends=True)))
    right, total = Counter(), Counter()
    for row in rows:
        total[row["language"]] += 1
        right[row["language"]] += detect(row["text"]) == row["language"]
    table = {tag: f"{right[tag]}/{total[tag]}" for tag in sorted(total)}
    assert right.total() / total.total() >= 0.95, table
    weak = {tag for tag in total if total[tag] >= 10 and right[tag] / total[tag] < 0.75}
    assert not weak, table
