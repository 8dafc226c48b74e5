"""What a labeller is worth, counted by hand, and the sheet that a person judges."""

import csv
import io
import json

import pytest

from tidegate.core.errors import TidegateError
from tidegate.core.row import TaskTag
from tidegate.labels.audit import Trusted, audit, judging_sheet, read_trusted, read_verdicts, say, to_judge
from tidegate.labels.labeller import Labelling

PROGRAMMING, HEALTH, LAW = "/Computers & Electronics/Programming", "/Health", "/Law & Government"

# text: (said language, said path, confidence); the truth stands beside it below
SAID = {
    "a": ("en", PROGRAMMING, 0.95),
    "b": ("zh-Hans", PROGRAMMING, 0.85),
    "c": ("zh-Hant", HEALTH, 0.65),
    "d": ("de", HEALTH, 0.55),
    "e": (None, None, 0.0),
    "f": ("en", LAW, 0.45),
}
TRUTH = [
    Trusted(place="x:2", text="a", language="en", category="programming"),
    Trusted(place="x:3", text="b", language="zh", category="programming"),
    Trusted(place="x:4", text="c", language="zh-Hans", category="programming"),
    Trusted(place="x:5", text="d", language="de", category="health"),
    Trusted(place="x:6", text="e", language="en", category="health"),
    Trusted(place="x:7", text="f", language=None, category="math"),
]


def scripted(text):
    language, path, confidence = SAID[text]
    tags = () if path is None else (TaskTag(path=path, confidence_ppm=round(confidence * 1e6)),)
    return Labelling(language, tags)


@pytest.fixture
def said():
    return say(TRUTH, scripted)


def test_scores_are_those_counted_by_hand(said):
    """Programming: 3 true, 2 said, 2 right. Health: 2 true, 2 said, 1 right. Math is none of the twelve."""
    found = audit("scripted", said)
    tasks = {c.name: (c.rows, c.precision, c.recall, c.f1) for c in found.tasks.classes}
    assert tasks == {
        "programming": (3, 1.0, pytest.approx(2 / 3), pytest.approx(4 / 5)),
        "health": (2, 0.5, 0.5, 0.5),
    }
    assert found.tasks.macro_f1 == pytest.approx((4 / 5 + 1 / 2) / 2)
    assert found.tasks.accuracy == pytest.approx(3 / 5) and found.left_out == {"math": 1}
    assert "roleplay" in found.tasks.without_rows and "programming" not in found.tasks.without_rows


def test_a_script_is_right_where_the_truth_names_none(said):
    """`zh-Hans` answers `zh`; `zh-Hant` does not answer `zh-Hans`."""
    found = audit("scripted", said)
    assert found.languages.accuracy == pytest.approx(3 / 5)
    assert set(found.language_confusion) == {("zh-Hans", "zh-Hant", 1), ("en", "none", 1)}
    assert set(found.task_confusion) == {("programming", "health", 1), ("health", "none", 1)}


def test_calibration_is_over_rows_with_a_true_category(said):
    """Bins of a tenth; error = mean of |confidence - share right| by rows: .05 + .15 + .65 + .45 + 0, over 5."""
    found = audit("scripted", said)
    filled = {round(b.low, 1): (b.rows, b.share_right) for b in found.calibration if b.rows}
    assert filled == {0.9: (1, 1.0), 0.8: (1, 1.0), 0.6: (1, 0.0), 0.5: (1, 1.0), 0.0: (1, 0.0)}
    assert found.calibration_error == pytest.approx((0.05 + 0.15 + 0.65 + 0.45 + 0) / 5)


def test_half_of_a_sample_is_drawn_at_random_and_half_where_it_is_least_sure(said):
    picked = to_judge(said, 4, seed=3)
    assert [drawn for drawn, _ in picked] == ["random", "random", "unsure", "unsure"]
    at_random = {item.row.text for _, item in picked[:2]}
    rest = sorted((item for item in said if item.row.text not in at_random), key=lambda item: item.confidence)
    assert [item.row.text for _, item in picked[2:]] == [item.row.text for item in rest[:2]]
    assert picked == to_judge(said, 4, seed=3)
    assert len(to_judge(said, 100)) == len(said)


def test_verdicts_come_to_a_share_of_the_random_rows_with_an_interval(said, tmp_path):
    """Wilson for 8 of 10, as in any table of it: 0.490 to 0.943. Rows where it was unsure are no random sample."""
    picked = [("random", said[0])] * 10 + [("unsure", said[1])] * 5
    rows = list(csv.DictReader(io.StringIO(judging_sheet(picked))))
    for number, row in enumerate(rows):
        row["task_right"] = "yes" if number < 8 else "no"
        row["language_right"] = "" if number else "Y"
    sheet = tmp_path / "judged.csv"
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    language, task = read_verdicts(sheet)
    assert (task.of, task.judged, task.right, task.share) == ("task", 10, 8, 0.8)
    assert (round(task.low, 3), round(task.high, 3)) == (0.490, 0.943)
    assert (language.of, language.judged, language.right) == ("language", 1, 1)


def test_csv_and_json_lines_say_the_same(tmp_path):
    one, two = tmp_path / "a.csv", tmp_path / "b.jsonl"
    one.write_text('\ufefftext,language,category\n"two\nlines",en,health\nx,,\n')
    two.write_text(
        json.dumps({"text": "two\nlines", "language": "en", "google_path": "/Health/Nutrition"})
        + "\n\n"
        + json.dumps({"text": "x", "extra": 1})
        + "\n"
    )
    told = [[(row.text, row.language, row.category) for row in read_trusted([file])] for file in (one, two)]
    assert told[0] == told[1] == [("two\nlines", "en", "health"), ("x", None, None)]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "no rows"),
        ("category,language\nhealth,en\n", "no `text`"),
        ('{"text": 5}', "no `text`"),
        ('{"text": ', "no JSON object"),
        (b"text\n\xff\xfe", "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path, content, named):
    file = tmp_path / "bad.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TidegateError, match=named):
        read_trusted([file])


def test_a_verdict_is_yes_or_no(tmp_path, said):
    sheet = tmp_path / "judged.csv"
    sheet.write_text(judging_sheet([("random", said[0])]))
    with pytest.raises(TidegateError, match="nobody has judged"):
        read_verdicts(sheet)
    sheet.write_text(sheet.read_text().replace("0.950,,", "0.950,maybe,"))
    with pytest.raises(TidegateError, match="maybe"):
        read_verdicts(sheet)
