"""A published figure is rendered from a result file, and its verdict computed; nothing is typed."""

from pathlib import Path

import pytest

from harness.record import BenchError, Claim, Machine, Result, Series, read_result, spread, write_result
from harness.tables import BEGIN, END, claim_table, publish, readme_block, stale
from harness.targets import judge, measured

REPOSITORY = Path(__file__).resolve().parents[2]
RECORD = REPOSITORY / "bench" / "results" / "first_light.json"


def claim(name: str, metric: str, **samples: list[float]) -> Claim:
    series = {subject: Series(metrics={metric: spread(taken)}, count=1000) for subject, taken in samples.items()}
    return Claim(
        name=name,
        title=f"A claim: {name}",
        unit="call",
        conditions="on loopback",
        date="2026-08-01T00:00:00+00:00",
        rounds=3,
        series=series,
        missing={"ferrogw": "no wheel for this machine"},
    )


def result(*claims: Claim) -> Result:
    return Result(
        name="first_light",
        date="2026-08-01T00:00:00+00:00",
        seconds=12.0,
        quick=False,
        commit="0123456789ab",
        machine=Machine(cpu="A CPU", cores=2, memory_mb=4096, kernel="6.1", load_before=0.1),
        versions={"python": "3.12", "nginx": "1.22.1"},
        claims=claims,
    )


WHOLE = result(
    claim("call_1k", "cpu_us", nginx=[20, 22, 21], tidegate=[60, 66, 63], rolter=[150, 151, 152]),
    claim("call_256k", "cpu_us", nginx=[200, 210, 205], tidegate=[1000, 1050, 1025]),
    claim("sse_event", "cpu_us", nginx=[12, 12, 12], tidegate=[20, 19, 24]),
    claim("idle_memory", "rss_mb", tidegate=[90.1, 90.2, 90.1]),
)


def test_a_verdict_follows_from_the_median():
    """At the limit is met, above it is not, whatever the range."""
    met = {(each.target.claim, each.target.against): each.met for each in judge(WHOLE) if each.value is not None}
    assert met == {
        ("call_1k", ""): True,
        ("call_1k", "nginx"): True,
        ("call_1k", "rolter"): True,
        ("call_256k", "nginx"): False,
        ("sse_event", ""): True,
        ("sse_event", "nginx"): False,
        ("idle_memory", ""): False,
    }


def test_what_was_not_measured_is_not_met():
    """A claim without a figure must not look kept."""
    verdicts = judge(result())
    assert all(verdict.value is None and not verdict.met for verdict in verdicts)


def test_a_ratio_compares_the_same_rounds():
    """Other work on the machine slows a whole round; dividing round by round takes it out."""
    noisy = result(claim("call_1k", "cpu_us", nginx=[20, 40, 20], tidegate=[60, 120, 60]))
    times = measured(noisy, "call_1k", "cpu_us", against="nginx")
    assert times is not None
    assert (times.median, times.min, times.max) == (3, 3, 3)


def test_a_peer_that_could_not_be_had_is_named_in_the_table():
    """An absent row would read as if the peer had never been meant."""
    text = claim_table(WHOLE.claims[0])
    assert "| ferrogw | not measured |" in text
    assert "| **Tidegate** | 63.0 (60.0-66.0) | 3.00 (3.00-3.00) | 1,000 |" in text


def test_both_readmes_show_the_same_figures(tmp_path):
    """The Chinese first screen is kept equal: same rows, same numbers, its own words."""
    for name in ("README.md", "README.zh-CN.md"):
        (tmp_path / name).write_text(f"before\n{BEGIN}\nold figures\n{END}\nafter\n")
    publish(WHOLE, tmp_path)
    english, chinese = ((tmp_path / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    assert english == f"before\n{readme_block(WHOLE, 'en')}after\n"
    for text in (english, chinese):
        assert "old figures" not in text
        assert "| ≤ 80 µs | 63.0 µs (60.0-66.0) |" in text
        assert "| ≤ 3 × | 5.00 × (5.00-5.00) |" in text
    assert "not met" in english
    assert "未达到" in chinese
    assert not stale(WHOLE, tmp_path)


def test_a_changed_result_makes_the_rendered_texts_stale(tmp_path):
    """`render.py --check` finds a page that does not show the result."""
    publish(WHOLE, tmp_path)
    assert stale(result(), tmp_path) == [tmp_path / "docs/reference/bench.md"]


def test_a_marker_without_its_end_is_an_error(tmp_path):
    """Replacing to the end of the file would eat the README."""
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nafter\n")
    with pytest.raises(BenchError, match=r"README.md has <!-- bench:begin --> without <!-- bench:end -->"):
        publish(WHOLE, tmp_path)


def test_a_result_is_read_as_it_was_written(tmp_path):
    """The file is the record; tables of later versions come from it."""
    path = tmp_path / "results" / "one.json"
    write_result(path, WHOLE)
    assert read_result(path) == WHOLE


def test_a_damaged_result_is_named(tmp_path):
    path = tmp_path / "broken.json"
    path.write_text('{"name": 1}')
    with pytest.raises(BenchError, match=r"broken.json is not a result of format 1"):
        read_result(path)


def test_the_published_page_shows_the_published_result():
    """docs/reference/bench.md and the READMEs are rendered from bench/results/first_light.json as it stands."""
    if not RECORD.is_file():
        pytest.skip("bench/results/first_light.json is missing: `make bench` has not been run in this tree")
    assert stale(read_result(RECORD), REPOSITORY) == []
