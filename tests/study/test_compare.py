"""Published values beside measured ones: which source, which days, which verdict, and what sets the two apart."""

import datetime as dt
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import hand_ledger as hand
import msgspec
import pytest
from study_series import AUTHORS, Volumes, days

from tidegate.catalog import load_catalog
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger
from tidegate.study.authors import read_author_country
from tidegate.study.compare import ENDS_DAYS, Comparison, Line, asked_window, compare
from tidegate.study.compare_run import resolve_names
from tidegate.study.compare_table import as_csv, number, reasons, summary
from tidegate.study.facts import Facts, Source, open_facts
from tidegate.study.periods import Window
from tidegate.study.published import Published, Reading, parse_published, read_published
from tidegate.study.result import StudyError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "openrouter"
HEAD = """\
checked: "2026-01-01"
about: a test
sources: {A: {what: a page, where: here, trust: high}}
"""


def facts_of_weeks(facts_of: Callable[[Volumes], Facts], weeks: Sequence[tuple[str, float, float, float]]) -> Facts:
    """Whole Monday weeks: (Monday, billions of Chinese, of US, of code-named tokens in the week)."""
    volumes: dict[tuple[dt.date, str], float] = {}
    for monday, cn, us, ghost in weeks:
        for day in days(monday, 7):
            volumes[day, "cn/one"] = cn / 7
            volumes[day, "us/one"] = us / 7
            volumes[day, "ghost/one"] = ghost / 7
    return facts_of(volumes)


def claims(text: str, contradictions: str = "contradictions: []") -> Published:
    return parse_published(f"{HEAD}claims:\n{text}{contradictions}\n", "test.yml")


def claim(values: str, reading: str, *, period: str, unit: str = "trillion tokens", extra: str = "") -> str:
    return (
        f"- id: one\n  place: Fig 1\n  title: One\n  unit: {unit}\n  period: {period}\n  kind: stated\n  source: [A]\n"
        f"  definition: Tokens.\n  values: {values}\n{extra}  readings:\n  - {reading}\n"
    )


def lines_of(facts: Facts, published: Published) -> list[Line]:
    return list(compare(facts, facts.sources, published).lines)


WEEKS = [("2026-01-05", 200, 700, 100), ("2026-01-12", 400, 500, 200), ("2026-01-19", 900, 600, 0)]
CN = "{figure: country_lead, key: period, groups: {country: CN}, over: each, take: value}"


def test_a_value_of_the_same_week_and_definition_gets_a_verdict(facts_of: Callable[[Volumes], Facts]) -> None:
    """0.2 T of Chinese tokens in the first week, 0.4 T in the second; 0.5 was published for it."""
    published = claims(claim('{2026-01-05: "0.2", 2026-01-12: "0.5", 2025-12-01: "0.1"}', CN, period="week"))
    first, second, before = lines_of(facts_of_weeks(facts_of, WEEKS), published)
    assert (first.verdict, first.measured) == ("agrees", pytest.approx(0.2))
    assert (second.verdict, second.difference) == ("differs", pytest.approx(-0.1))
    assert before.verdict == "not computable" and before.measured is None
    assert "2026-01-05 to 2026-01-19" in before.why_not


def test_a_reading_of_another_definition_has_a_number_and_no_verdict(facts_of: Callable[[Volumes], Facts]) -> None:
    """Costs were published; the source has tokens alone, and says so."""
    spend = "{figure: country_lead, key: country, params: {measure: spend}}"
    tokens = "{figure: country_lead, key: country, differs: Measured in tokens.}"
    text = claim('{US: "60"}', f"{spend}\n  - {tokens}", period="2026-01-05:2026-01-25", unit="percent")
    (line,) = lines_of(facts_of_weeks(facts_of, WEEKS), claims(text))
    assert line.verdict == "other definition"
    assert line.measured == pytest.approx(100 * (700 + 500 + 600) / 3600)
    assert "Measured in tokens." in line.differences


def test_a_period_that_the_source_does_not_hold_has_a_number_and_no_verdict(
    facts_of: Callable[[Volumes], Facts],
) -> None:
    reading = "{figure: country_lead, groups: {country: US}}"
    text = claim('{US: "50"}', reading, period="2024-11-03:2025-11-30", unit="percent")
    (line,) = lines_of(facts_of_weeks(facts_of, WEEKS), claims(text))
    assert (line.verdict, line.measured, line.difference) == (
        "other period",
        pytest.approx(50.0),
        pytest.approx(0, abs=1e-6),
    )
    assert any("does not cover 2024-11-03:2025-11-30" in text for text in line.differences)


def test_amounts_of_other_days_have_no_difference(facts_of: Callable[[Volumes], Facts]) -> None:
    """Three weeks against thirteen months: both numbers stand, and nothing is subtracted."""
    text = claim('{US: "50"}', "{figure: country_lead, key: country, take: value}", period="2024-11-03:2025-11-30")
    (line,) = lines_of(facts_of_weeks(facts_of, WEEKS), claims(text))
    assert (line.measured, line.difference) == (pytest.approx(1.8), None)


def test_progress_counts_the_claims(facts_of: Callable[[Volumes], Facts]) -> None:
    facts = facts_of_weeks(facts_of, WEEKS)
    told: list[tuple[int, int]] = []
    compare(facts, facts.sources, read_published(), ["tab-3", "tab-4"], lambda *step: told.append(step))
    assert told == [(1, 2), (2, 2)]


def test_what_no_source_can_give_says_why(facts_of: Callable[[Volumes], Facts]) -> None:
    text = claim(
        '{US: "47.17"}', "{figure: country_table, key: country}", period="2026-01-05:2026-01-25", unit="percent"
    )
    (line,) = lines_of(facts_of_weeks(facts_of, WEEKS), claims(text))
    assert line.verdict == "not computable" and line.why_not and line.measured is None


def test_a_figure_whose_attribute_is_missing_gives_no_number(facts_of: Callable[[Volumes], Facts]) -> None:
    """Nobody knows the weights of these models: 0 % open would be a lie."""
    reading = "{figure: oss_split, groups: {source_type: [open_cn, open_row]}}"
    text = claim('{open: "33"}', reading, period="2026-01-05:2026-01-11", unit="percent")
    (line,) = lines_of(facts_of_weeks(facts_of, [("2026-01-05", 1, 1, 0)]), claims(text))
    assert line.measured is None and "lacks what the figure needs" in line.why_not


def test_the_source_nearest_in_definition_is_chosen_not_the_one_nearest_in_value(tmp_path: Path) -> None:
    """Two imports: the first covers the week, the second would agree but covers another."""
    ledger = Ledger.create(tmp_path / "ledger")
    for name, monday, volume in (("covers", "2026-01-05", 3), ("agrees", "2026-03-02", 5)):
        rows = [
            f"{day},{model},{volume if model == 'us/one' else 1},0,0,{volume if model == 'us/one' else 1}"
            for day in days(monday, 7)
            for model in ("us/one", "cn/one")
        ]
        file = tmp_path / f"{name}.csv"
        file.write_text("\n".join(["Date,Model,Prompt,Completion,Reasoning,Total_Tokens", *rows]), "utf-8")
        run_import("openrouter-daily", [file], ledger, source_id=name)
    facts = open_facts(ledger, load_catalog(), overrides=AUTHORS)
    text = claim('{US: "83"}', "{figure: country_lead, key: country}", period="2026-01-05:2026-01-11", unit="percent")
    (line,) = lines_of(facts, claims(text))
    assert (line.source_id, line.verdict, line.measured) == ("covers", "differs", pytest.approx(75.0))


@pytest.mark.parametrize(
    ("over", "first", "last", "window", "same"),
    [
        ("pooled", "2026-01-05", "2026-01-25", ("2026-01-05", "2026-01-25"), True),
        ("pooled", "2025-11-01", "2026-01-25", ("2026-01-01", "2026-01-25"), False),  # the part that it holds
        ("pooled", "2025-01-01", "2025-03-01", None, False),  # none of it: all there is
        ("last", "2024-11-03", "2026-01-25", ("2026-01-12", "2026-01-25"), True),  # its last weeks suffice
        ("first", "2026-01-05", "2027-01-25", ("2026-01-05", "2026-01-18"), True),
        ("first", "2025-01-05", "2026-01-25", None, False),
        ("each", "2025-01-06", "2025-01-12", None, True),
    ],
)
def test_the_days_that_are_drawn(over: str, first: str, last: str, window: tuple[str, str] | None, same: bool) -> None:
    source = Source(
        source_id="s",
        kind="daily",
        first=dt.date(2026, 1, 1),
        last=dt.date(2026, 3, 31),
        names_models=True,
        names_authors=True,
        measures=("tokens",),
    )
    reading = Reading(figure="f", over=over)  # type: ignore[arg-type]
    ends = Window(*map(dt.date.fromisoformat, window)) if window else Window()
    assert asked_window(source, reading, dt.date.fromisoformat(first), dt.date.fromisoformat(last)) == (ends, same)
    assert ENDS_DAYS == 14, "two weeks hold a whole one, whatever day weeks begin on"


SIDES = """\
contradictions:
- id: C14
  title: When
  because: They count other models.
  sides:
  - {says: code names apart, unit: date, published: [one/2026-01-05], readings: [{figure: country_lead, groups: {country: CN}, of: {country: US}, over: first_above, take: value}]}
  - {says: code names Chinese, unit: date, readings: [{figure: country_lead, groups: {country: [CN, cloaked]}, of: {country: US}, over: first_above, take: value}]}
  - {says: both weeks, unit: trillion tokens, published: [one/2026-01-05, one/2026-01-12], cannot: a sum of print}
  - {says: all weeks, unit: count, published: [one/*], arithmetic: count, cannot: a count of print}
"""  # noqa: E501


def test_both_readings_of_a_contradiction_are_computed_on_one_source(facts_of: Callable[[Volumes], Facts]) -> None:
    """400 < 500 in the second week, 400 + 200 > 500: the lead hangs on the code names."""
    values = '{2026-01-05: "0.2", 2026-01-12: "0.55"}'
    published = claims(claim(values, CN, period="week"), SIDES)
    facts = facts_of_weeks(facts_of, WEEKS)
    (found,) = compare(facts, facts.sources, published).contradictions
    apart, chinese, both, count = found.sides
    assert (apart.measured, chinese.measured) == ("2026-01-19", "2026-01-12")
    assert (both.published, both.arithmetic, both.why_not) == ("0.75", "0.2 + 0.55", "a sum of print")
    assert count.published == "2" and found.source_id == "openrouter-daily"


def test_the_whole_file_runs_on_any_source_and_every_line_has_a_number_or_a_reason(
    facts_of: Callable[[Volumes], Facts],
) -> None:
    facts = facts_of_weeks(facts_of, WEEKS)
    published = read_published()
    found = compare(facts, facts.sources, published)
    assert len({(line.claim, line.key, line.figure) for line in found.lines}) == len(found.lines)
    assert {(line.claim, line.key) for line in found.lines if line.key} == {
        (claim.id, key) for claim in published.claims for key in claim.values
    }
    for line in found.lines:
        has_number = line.measured is not None or (line.verdict == "not published" and line.n is not None)
        assert has_number != bool(line.why_not), (line.claim, line.key)
    for contradiction in found.contradictions:
        for side in contradiction.sides:
            assert (side.measured is not None) != bool(side.why_not), (contradiction.id, side.says)
    assert as_csv(found).count("\n") >= len(found.lines) + 1
    assert str(sum(line.verdict != "not published" for line in found.lines)) in summary(found)


def test_places_are_named_as_people_write_them() -> None:
    published = read_published()
    assert resolve_names(published, ["Tab 3"]) == ("tab-3",)
    assert resolve_names(published, ["c8"]) == ("C8",)
    assert {"fig-1-cn", "fig-1-oss"} <= set(resolve_names(published, ["fig 1"]))
    assert "fig-10" not in resolve_names(published, ["fig-1"])
    with pytest.raises(StudyError, match="tab-3"):
        resolve_names(published, ["tab-33"])


def test_numbers_have_the_digits_that_say_something() -> None:
    assert [number(value) for value in (6053.4, 17.14, 2.04, 0.0521, "2026-03-23", None)] == [
        "6,053",
        "17.1",
        "2.04",
        "0.052",
        "2026-03-23",
        "",
    ]


def test_equal_reasons_are_told_once() -> None:
    plain = Line(
        claim="c",
        place="Fig 1",
        title="t",
        key="a",
        published="1",
        unit="percent",
        period="2026-01-05:2026-01-11",
        kind="stated",
        source=("A",),
        definition="D.",
        verdict="not computable",
        why_not="no costs",
    )
    assert reasons([plain, msgspec.structs.replace(plain, key="b")]) == {"no costs": ["a", "b"]}


# -- a ledger of calls -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Everything published against 280 calls written by hand: countries, languages, labels, costs."""
    ledger = hand.write(tmp_path_factory.mktemp("calls") / "ledger")
    facts = open_facts(ledger, load_catalog())
    return compare(facts, facts.sources, read_published())


def test_tables_of_places_and_languages_are_measured_from_calls(calls: Comparison) -> None:
    """Of what has a billing country, and of what has a language, each call as often as its sampling weight says."""
    placed = hand.totals(hand.ROWS, lambda row: row.billing_country)
    germany = 100 * placed["DE"] / sum(placed.values())
    assert line(calls, "tab-3", "DE").measured == pytest.approx(germany)
    assert line(calls, "outside-us", "not US").measured == pytest.approx(
        100 * (placed["DE"] + placed["SG"]) / sum(placed.values())
    )
    assert line(calls, "tab-2", "Asia").measured == pytest.approx(100 * placed["SG"] / sum(placed.values()))
    spoken = hand.totals(hand.ROWS, lambda row: row.language, lambda row: hand.tokens(row) * hand.weight(row))
    assert line(calls, "tab-4", "en").measured == pytest.approx(100 * spoken["en"] / sum(spoken.values()))
    assert line(calls, "tab-4", "th").measured is None, "no call in Thai is no share of zero"


def test_effective_cost_is_what_was_charged_without_own_keys(calls: Comparison) -> None:
    """A model's cost: USD over tokens, BYOK calls left out of both."""
    rows = [row for row in hand.ROWS if row.response_model == "anthropic/claude-sonnet-4" and not row.is_byok]
    usd = sum(hand.spend(row) for row in rows) / 1e9
    tokens = sum(hand.tokens(row) for row in rows)
    found = line(calls, "tab-5-cost", "claude-sonnet-4")
    assert found.measured == pytest.approx(usd / tokens * 1e6)
    assert not any("list prices" in text for text in found.differences), "it was charged"


def test_means_of_parts_add_up_on_one_source_and_a_continent_holds_its_countries(calls: Comparison) -> None:
    """C2 and C8 cannot happen within one source."""
    sides = {
        (entry.id, side.says): side.measured for entry in calls.contradictions for side in entry.sides if side.measured
    }
    added = sides["C2", "mean prompt and mean completion added"]
    assert added == pytest.approx(sides["C2", "mean sequence"])
    last = [row for row in hand.ROWS if hand.week_of(row) == hand.WEEKS[-1] and hand.tokens(row)]
    assert added == pytest.approx(sum(map(hand.tokens, last)) / len(last), rel=1e-4)
    (c8,) = (entry for entry in calls.contradictions if entry.id == "C8")
    assert {side.says: side.published for side in c8.sides}["United States and Canada"] == "49.07"
    assert sides["C8", "United States and Canada"] == pytest.approx(sides["C8", "North America"])


def test_no_reading_names_a_column_that_its_figure_does_not_have(calls: Comparison) -> None:
    """This ledger has every kind of column: a misspelt group in the file would show here."""
    told = [found.why_not for found in calls.lines]
    told += [side.why_not for entry in calls.contradictions for side in entry.sides]
    assert not [why for why in told if "no column" in why or "no figure" in why or "no parameter" in why]


def test_spend_calls_and_tokens_of_programming_stand_beside_each_other(calls: Comparison) -> None:
    """C12: three shares of the same model's programming, of which spend is by far the largest."""
    (c12,) = (entry for entry in calls.contradictions if entry.id == "C12")
    spend, by_calls, tokens = (float(side.measured or 0) for side in c12.sides[:3])
    assert spend > tokens > by_calls > 0


def test_adult_and_subtags_are_read_from_label_paths(calls: Comparison) -> None:
    """Programming by path: what ends at the parent is `other`."""
    best = hand.totals(
        hand.ROWS,
        lambda row: next(iter(hand.strong_tags(row)), None),
        lambda row: hand.tokens(row) * hand.weight(row),
    )
    parent, tools = "/Computers & Electronics/Programming", "/Computers & Electronics/Programming/Development Tools"
    measured = line(calls, "fig-21-programming", "Development Tools").measured
    assert measured == pytest.approx(100 * best[tools] / (best[parent] + best[tools]))


# -- the command ------------------------------------------------------------------------------------------------------


def run(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    import sys

    return subprocess.run(
        [sys.executable, "-m", "tidegate", "compare", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={"TIDEGATE_HOME": str(home), "PATH": ""},
        cwd=home,
    )


def test_a_newcomer_without_a_ledger_compares_with_the_shipped_series(tmp_path: Path) -> None:
    done = run("fig-1-end", "C14", "--format", "json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    found = msgspec.json.decode(done.stdout.encode(), type=Comparison)
    closed = next(line for line in found.lines if line.key == "closed")
    assert closed.published == "75.6" and closed.verdict == "agrees"
    assert [entry.id for entry in found.contradictions] == ["C14"]


def test_the_table_names_verdicts_definitions_and_reasons(tmp_path: Path) -> None:
    done = run("fig 1", "tab-3", home=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("2025-11-17  17.1", "agrees", "Share of all tokens", "See C1, C3, C5.", "no complete week there"):
        assert words in done.stdout, words
    assert run("tab-33", home=tmp_path).returncode == 1


# -- public data ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Everything published against the public series of data/openrouter."""
    if not (SHARED / "model_daily_usage.csv").is_file():
        pytest.skip("the public series are not on this machine")
    ledger = Ledger.create(tmp_path_factory.mktemp("public") / "ledger")
    run_import("openrouter-daily", [SHARED / "model_daily_usage.csv"], ledger)
    run_import("openrouter-categories", [SHARED / "category_author_weekly.csv"], ledger)
    catalog = load_catalog()
    facts = open_facts(ledger, catalog, overrides=read_author_country(SHARED / "author_country.csv", catalog))
    return compare(facts, facts.sources, read_published())


def line(found: Comparison, claim: str, key: str) -> Line:
    return next(line for line in found.lines if (line.claim, line.key) == (claim, key))


def test_the_picture_of_november_2025_is_met_by_the_public_series(public: Comparison) -> None:
    """Two digitised weeks overlap with the public series: both open shares within a point and a half."""
    for name, key, published in (
        ("fig-1-cn", "2025-11-17", 17.1),
        ("fig-1-cn", "2025-11-24", 16.7),
        ("fig-1-oss", "2025-11-17", 24.0),
        ("fig-1-oss", "2025-11-24", 24.4),
    ):
        measured = line(public, name, key).measured
        assert isinstance(measured, float) and abs(measured - published) < 1.5, (name, key, measured)
    assert line(public, "fig-1-cn", "2025-11-17").verdict == "agrees"


def test_programming_follows_the_published_weeks(public: Comparison) -> None:
    """The chart is labelled with Sundays, the source with Mondays: the curves run within four points of each other."""
    measured = [line for line in public.lines if line.claim == "fig-19"]
    assert len(measured) == 23
    assert all(line.difference is not None and abs(line.difference) < 4 for line in measured)
    assert sum(abs(line.difference or 0) < 1 for line in measured) >= 17


def test_the_press_and_the_whole_market_are_both_right(public: Comparison) -> None:
    """C14: the same source gives February on the leaderboard and March on all models."""
    contradiction = next(entry for entry in public.contradictions if entry.id == "C14")
    dates = [side.measured for side in contradiction.sides[:3]]
    assert dates == ["2026-02-09", "2026-03-23", "2026-03-16"]
    assert line(public, "press-weeks-cn", "2026-02-09").verdict == "agrees"
    assert line(public, "press-weeks-us", "2026-02-09").verdict == "agrees"


def test_a_spend_share_is_not_called_wrong_by_a_source_of_tokens(public: Comparison) -> None:
    """C12: Anthropic's two thirds of programming spend are a fifth of its tokens; no verdict is given."""
    anthropic = line(public, "fig-20", "2025-11-24")
    assert anthropic.verdict == "other definition" and anthropic.measured is not None
    assert any("spend" in text for text in anthropic.differences)
