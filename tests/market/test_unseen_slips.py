"""Slips of every kind in claims that no source document holds; the arithmetic of each stands beside it."""

import pytest
from claim_rows import alarms, findings, keys

from tidegate.market.book import shipped_claims
from tidegate.market.check import check_claims


def of(*names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("stated", "words", "power"),
    [
        ("7440000000", "74.4亿", -4),  # 2.4e12 x 31 = 74.4e12
        ("744000000", "7.44亿", -5),
        ("74400000000", "74.4 billion", -3),
        ("744000000000000", "744 trillion", 1),
    ],
)
def test_a_monthly_total_that_lost_or_won_powers_of_ten(stated: str, words: str, power: int) -> None:
    found = findings(f"""
        a|doc|Qwen|tokens_per_day|all calls|2025-07|2025-07|2400000000000|tokens_per_day|2.4万亿|q=eq
        b|doc|Qwen|tokens_called|all calls|2025-07|2025-07|{stated}|tokens|{words}|q=gt
    """)
    slip = next(one for one in found if one.kind == "scale_slip")
    assert (slip.verdict, slip.claims) == ("fail", ("a", "b"))
    assert f"10^{power} " in slip.found + " "


def test_a_right_total_passes_as_a_conversion_in_february_too() -> None:
    """1.5e12 x 28 = 42e12; with 30 days it would be 45e12, 7 % off."""
    found = keys("""
        a|doc|Kimi|tokens_per_day|API|2026-02|2026-02|1500000000000|tokens_per_day|1.5万亿|q=eq
        b|doc|Kimi|tokens_called|API|2026-02|2026-02|42000000000000|tokens|42万亿|q=eq
    """)
    assert found == {("conversion", "pass", of("a", "b"))}


@pytest.mark.parametrize(
    ("rate", "unit", "stated", "stated_unit", "names"),
    [
        # 6e9 x 525,960 minutes of a year = 3.156e15; / 12 = 263e12 is a month's
        ("6000000000", "tokens_per_minute", "263000000000000", "tokens_per_year", "12 (a year for a month)"),
        # 10e9 a minute is 14.4e12 a day; x 30.4 = 438e12 a month, printed as a day's
        ("10000000000", "tokens_per_minute", "438000000000000", "tokens_per_day", "30.4 (a month for a day)"),
        # 3e12 a day is 21e12 a week; the day's figure was printed as the week's
        ("3000000000000", "tokens_per_day", "3000000000000", "tokens_per_week", "1/7 (a week for a day)"),
    ],
)
def test_a_rate_told_for_the_wrong_period(rate: str, unit: str, stated: str, stated_unit: str, names: str) -> None:
    found = findings(f"""
        a|doc|OpenAI API|tokens_processed|API|2025-10|2025-10|{rate}|{unit}||q=eq
        b|doc|OpenAI API|told_again|API|2025-10|2025-10|{stated}|{stated_unit}||q=eq
    """)
    slip = next(one for one in found if one.kind == "period_slip")
    assert slip.verdict == "fail" and names in slip.found


def test_growth_told_as_the_multiple_in_percent() -> None:
    """12 -> 60 is x 5, +400 %; 500 % is the multiple."""
    rows = """
        a|doc|Seed|tokens_called|cloud|2024|2024|12000000000000|tokens||q=eq
        b|doc|Seed|tokens_called|cloud|2025|2025|60000000000000|tokens||q=eq
        c|doc|Seed|yearly_growth|cloud|2024|2025|{}|percent||q=eq
    """
    assert alarms(rows.format(500)) == {("ratio", "fail", of("a", "b", "c"))}
    assert keys(rows.format(400)) == {("ratio", "pass", of("a", "b", "c"))}
    assert alarms(rows.format(40)) == {("ratio", "fail", of("a", "b", "c"))}


def test_percentage_points_told_as_percent() -> None:
    """17.7 -> 32.1 is 14.4 points and 81.4 %."""
    rows = """
        a|doc|Qwen|market_share|enterprise calls, China|2025H1|2025H1|17.7|percent||q=eq
        b|doc|Qwen|market_share|enterprise calls, China|2025H2|2025H2|32.1|percent||q=eq
        c|doc|Qwen|growth|enterprise calls, China|2025H1|2025H2|{}|{}||q=eq
    """
    (finding,) = [one for one in findings(rows.format("14.4", "percent")) if one.is_alarm]
    assert (finding.kind, finding.verdict) == ("ratio", "fail") and "percentage points" in finding.reading
    assert not alarms(rows.format("81.4", "percent"))
    assert not alarms(rows.format("14.4", "percentage_points"))


def test_a_multiple_rounded_up_is_softer_than_a_wrong_one() -> None:
    """350 / 130 = 2.69."""
    rows = """
        a|doc|answers|mean_completion_tokens|P|2024-11|2024-11|130|tokens_per_request||q=eq
        b|doc|answers|mean_completion_tokens|P|2025-11|2025-11|350|tokens_per_request||q=eq
        c|doc|answers|growth_multiple|P|2024-11|2025-11|{}|ratio||q={}
    """
    assert alarms(rows.format("3", "approx")) == {("ratio", "fail_soft", of("a", "b", "c"))}
    assert alarms(rows.format("9", "eq")) == {("ratio", "fail", of("a", "b", "c"))}
    assert keys(rows.format("2.7", "eq")) == {("ratio", "pass", of("a", "b", "c"))}
    assert keys(rows.format("3", "lt")) == {("ratio", "pass_rounded", of("a", "b", "c"))}
    assert alarms(rows.format("3", "gt")) == {("ratio", "fail_soft", of("a", "b", "c"))}


def test_a_comparison_that_only_a_mended_slip_saves() -> None:
    """2e12 x 30 = 60e12 > 50e12 of the rival; as stated 6e9 is far below."""
    rows = """
        a|doc|Hunyuan|tokens_per_day|all calls|2025-06|2025-06|2000000000000|tokens_per_day||q=eq
        b|doc|Hunyuan|tokens_called|all calls|2025-06|2025-06|{}|tokens||q=gt
        c|doc|Baidu|tokens_called|all calls|2025-06|2025-06|50000000000000|tokens||q=eq
        d|doc|Hunyuan over Baidu, June 2025|monthly_token_ratio|cross scope|2025-06|2025-06|1|ratio||q=gt
    """
    found = keys(rows.format("6000000000"))
    assert ("derived_comparison", "fail_as_stated", of("b", "c", "d")) in found
    assert ("derived_comparison", "pass", of("b", "c", "d")) in keys(rows.format("60000000000000"))
    # 42e12 is the true total of another month: no slip, and the comparison simply fails
    assert ("derived_comparison", "fail", of("b", "c", "d")) in keys(rows.format("42000000000000"))


def test_shares_that_cannot_be() -> None:
    """45 + 35 + 32 = 112; with 40, 30 and up to 35 the bounds bind at 105; 40 + 30 + 25 leaves 5."""
    rows = """
        a|doc|Acme|market_share|calls, EU|2025|2025|{}|percent||q=eq
        b|doc|Bolt|market_share|calls, EU|2025|2025|{}|percent||q=eq
        c|doc|Cord|market_share|calls, EU|2025|2025|{}|percent||q={}
    """
    assert alarms(rows.format(45, 35, 32, "eq")) == {("share_sum", "fail", of("a", "b", "c"))}
    assert alarms(rows.format(40, 30, 35, "lt")) == {("share_sum", "flag_bounds", of("a", "b", "c"))}
    assert keys(rows.format(40, 30, 25, "eq")) == {("share_sum", "pass", of("a", "b", "c"))}


def test_shares_of_different_years_or_wholes_are_not_added() -> None:
    found = keys("""
        a|doc|Acme|market_share|calls, EU|2023|2023|70|percent||q=eq
        b|doc|Bolt|market_share|calls, EU|2025|2025|60|percent||q=eq
        c|doc|Cord|market_share|spend, EU|2025|2025|55|percent||q=eq
    """)
    assert not {one for one in found if one[0] == "share_sum"}


def test_closed_and_open_that_do_not_make_a_whole() -> None:
    assert alarms("""
        a|doc|closed models|token_share|Router X|2026-01|2026-01|55|percent||q=eq
        b|doc|open-weight models|token_share|Router X|2026-01|2026-01|30|percent||q=eq
    """) == {("share_sum", "flag", of("a", "b"))}


def test_a_part_above_its_whole() -> None:
    assert alarms("""
        a|doc|top ten models|monthly_tokens|Router X|2026-02|2026-02|28700000000000|tokens||q=eq
        b|doc|top ten models - Chinese|monthly_tokens|Router X|2026-02|2026-02|34690000000000|tokens||q=eq
    """) == {("part_whole", "fail", of("a", "b"))}


def test_the_population_that_users_and_their_share_imply() -> None:
    """515e6 / 36.5 % = 1.411e9, as it should be; 515e6 / 26.5 % = 1.943e9 is no China."""
    rows = """
        a|doc|China|genai_users|survey|2025-06|2025-06|515000000|persons|5.15亿|q=eq
        b|doc|China|genai_penetration|all persons|2025-06|2025-06|{}|percent||q=eq
        c|other|China|population|residents|2024-12-31|2024-12-31|1408280000|persons||q=eq
    """
    assert keys(rows.format("36.5")) == {("implied_base", "pass", of("a", "b", "c"))}
    assert alarms(rows.format("26.5")) == {("implied_base", "fail", of("a", "b", "c"))}


def test_two_sources_that_disagree_after_rounding() -> None:
    rows = """
        a|one|Doubao|tokens_per_day|all calls|2025-12|2025-12|50000000000000|tokens_per_day|50万亿|q=eq
        b|two|Doubao|tokens_per_day|all calls|2025-12|2025-12|{}|tokens_per_day|{}|q={}
    """
    assert alarms(rows.format(63 * 10**12, "63万亿", "eq")) == {("conflict", "flag", of("a", "b"))}
    assert not alarms(rows.format(50200000000000, "50.2万亿", "eq"))  # 49.5 to 50.5 holds it
    assert not alarms(rows.format(47 * 10**12, "约47万亿", "approx"))
    assert alarms(rows.format(5 * 10**12, "5万亿", "eq")) == {("scale_slip", "fail", of("a", "b"))}


def test_one_owner_in_two_scopes() -> None:
    """27 % of 536.7e12 over 181 days is 0.8e12 a day, against 32e12 of all its models: never chained."""
    assert alarms("""
        a|idc|China cloud|tokens_called|external customers|2025-01-01|2025-06-30|536700000000000|tokens||q=eq
        b|idc|Alibaba Cloud|market_share|tokens, external customers|2025-01-01|2025-06-30|27|percent||q=eq
        c|press|Qwen|tokens_per_day|all products|2025-06|2025-06|32000000000000|tokens_per_day||q=eq
    """) == {("scope_mismatch", "flag", of("a", "b", "c"))}


def test_one_event_in_two_years() -> None:
    (finding,) = [
        one
        for one in findings("""
        a|one|Llama 4|release_month|product|2025-04|2025-04|202504|yyyymm|2025年4月|q=eq
        b|two|Llama 4|release_month|product|2024-04|2024-04|202404|yyyymm|2024年4月|q=eq
    """)
        if one.is_alarm
    ]
    assert (finding.kind, finding.verdict) == ("date_conflict", "flag") and "exactly one year" in finding.reading


def test_since_needs_every_later_period() -> None:
    rows = """
        lead|one|Asian models vs European models|weekly_lead_since|Router X|2026-03||202603|yyyymm|since March|q=eq
        a1|two|Asian models|weekly_tokens|Router X|2026-03-02|2026-03-08|900|tokens||q=eq
        e1|two|European models|weekly_tokens|Router X|2026-03-02|2026-03-08|700|tokens||q=eq
        a2|two|Asian models|weekly_tokens|Router X|2026-03-09|2026-03-15|{}|tokens||q=eq
        e2|two|European models|weekly_tokens|Router X|2026-03-09|2026-03-15|800|tokens||q=eq
    """
    assert alarms(rows.format(650)) == {("since", "fail", of("lead", "a2", "e2"))}
    assert keys(rows.format(950)) == {("since", "pass", of("lead", "a1", "e1", "a2", "e2"))}


def test_a_leader_with_a_small_share() -> None:
    """With 20 % a leader leaves 60 % or more to neither of the two."""
    rows = """
        lead|one|Asian models vs European models|lead_since|Router X|2026-01||202601|yyyymm||q=eq
        s|two|Asian models|token_share|Router X, average of the year|2026-01|2026-06|{}|percent||q=eq
    """
    assert alarms(rows.format(20)) == {("contradiction", "fail", of("lead", "s"))}
    assert not alarms(rows.format(45))


def test_the_same_digits_in_two_currencies() -> None:
    rows = """
        a|one|Market Z|revenue|AI cloud|2025H1|2025H1|22300000000|cny||q=eq
        b|two|Market Z|revenue|AI cloud|2025H1|2025H1|{}|{}||q=eq
    """
    assert alarms(rows.format(22300000000, "usd")) == {("currency", "fail", of("a", "b"))}
    assert not alarms(rows.format(3100000000, "usd"))
    assert ("currency", "fail", of("a", "b")) in alarms(rows.format(3100000000, "cny"))  # 1 / 7.19


def test_digits_that_nobody_measures() -> None:
    assert alarms("a|one|X|accuracy|P|2025|2025|0.623456789|ratio||q=eq") == {("fabricated", "flag", of("a"))}
    twins = "\n".join(
        f"{name}{year}|one|{name}|diffusion|P|{year}|{year}|{value}|percent||q=eq"
        for name in ("Aland", "Borneo", "Corsica")
        for year, value in ((2023, 6.4), (2024, 7.1), (2025, 8.3))
    )
    assert {kind for kind, *_ in alarms(twins)} == {"fabricated"}
    assert not alarms("a|one|X|tokens_called|P|2025|2025|1234500000|tokens|12.345亿|q=eq")


def test_words_and_value_that_differ_by_powers_of_ten() -> None:
    assert alarms("a|one|X|tokens_called|P|2025|2025|11420000000|tokens|114.2万亿|q=eq") == {
        ("scale_slip", "fail", of("a"))
    }
    assert not alarms("a|one|X|tokens_called|P|2025|2025|114200000000000|tokens|114.2万亿|q=eq")


def test_two_sides_of_one_mark() -> None:
    assert alarms("""
        a|one|reasoning models|token_share|Router X|2026-01|2026-01|60|percent|under 60%|q=lt
        b|two|reasoning models|token_share|Router X, last weeks|2026-01|2026-01|60|percent|over 60%|q=gt
    """) == {("boundary", "flag", of("a", "b"))}


def test_a_rank_that_the_shares_contradict() -> None:
    rows = """
        a|one|Spanish|language_share|Router X|2025|2025|3|percent|3%|q=eq; rank {}
        b|two|English|language_share|Router X|2025|2025|80|percent||q=eq
        c|two|Russian|language_share|Router X|2025|2025|5|percent||q=eq
        d|two|French|language_share|Router X|2025|2025|2|percent||q=eq
    """
    assert {(kind, verdict) for kind, verdict, _ in keys(rows.format(2)) if kind == "order"} == {("order", "fail")}
    assert ("order", "pass", of("a", "d")) in keys(rows.format(3))


def test_two_denominators_of_one_task() -> None:
    assert ("denominator", "flag", of("a", "b", "c")) in alarms("""
        a|one|translation|task_share|tokens of open-weight models|2025|2025|30|percent||q=eq
        b|one|open-weight models|share_of_translation|Router X, translation|2025|2025|55|percent||q=eq
        c|one|closed models|share_of_translation|Router X, translation|2025|2025|45|percent||q=eq
    """)


def test_the_mean_of_the_whole_used_for_a_part() -> None:
    assert ("scope_conflict", "flag", of("a", "b", "c")) in alarms("""
        a|one|answers|mean_completion_tokens|Router X, all tasks|2025|2025|400|tokens_per_request||q=eq
        b|one|legal|mean_completion_tokens|Router X, legal|2025|2025|400|tokens_per_request||q=eq
        c|one|legal|completion_tokens_typical|Router X, legal|2025|2025|1500|tokens_per_request||q=gt
    """)


def test_one_figure_on_two_bases() -> None:
    assert ("basis_conflict", "flag", of("a", "b")) in alarms("""
        a|one|Africa|usage_share|Router X|2025-11|2025-11|4|percent||q=eq
        b|two|Africa|spend_share|Router X|2025-11|2025-11|4|percent||q=eq
    """)


def test_one_study_told_twice_is_said_once_and_is_no_alarm() -> None:
    found = findings("""
        a|one|Router X|tokens_analysed|platform|2025|2025|40000000000000|tokens||q=gt
        b|one|Router X|providers|platform|2025|2025|60|count||q=gt
        c|two|Router X|tokens_analysed|platform|2025|2025|40000000000000|tokens||q=eq
        d|two|Router X|providers|platform|2025|2025|60|count||q=gt
    """)
    assert [(one.kind, one.verdict, one.claims) for one in found] == [("duplicate", "info", ("a", "c"))]


def test_evidence_of_another_scope_month_and_definition() -> None:
    evidence = """
        e1|maker|Gemini|tokens_processed|all surfaces and products|2025-09|2025-09|700000000000000|tokens||q=eq
        e2|maker|Brazil|ai_users|persons of 15 to 64 (telemetry)|2025-06|2025-06|20000000|persons||q=eq
    """
    found = alarms(
        """
        a|one|Gemini|tokens_processed|API of the cloud|2025-10|2025-10|700000000000000|tokens||q=eq
        b|one|Brazil|ai_users|survey of households|2025-06|2025-06|65000000|persons||q=eq
        """,
        evidence,
    )
    assert found == {
        ("scope_mislabel", "flag_external", of("a")),
        ("date_mislabel", "flag_external", of("a")),
        ("definition_conflict", "flag_external", of("b")),
    }


def test_evidence_that_knows_the_figure_with_other_zeros() -> None:
    """140e12 a day in March, printed as 1.4 quadrillion."""
    evidence = "e|bureau|China|tokens_per_day|national average|2026-03|2026-03|140000000000000|tokens_per_day||q=gt"
    rows = "a|page|China|tokens_per_day|national average|2026-03|2026-03|{}|tokens_per_day||q=gt"
    assert alarms(rows.format(1400000000000000), evidence) == {("scale_slip", "flag_external", of("a"))}
    assert not alarms(rows.format(140000000000000), evidence)


def test_a_country_named_us_is_one_among_countries() -> None:
    assert ("share_sum", "fail", of("a", "b")) in alarms("""
        a|one|US|traffic_share|chat sites|2026|2026|70|percent||q=eq
        b|one|Japan|traffic_share|chat sites|2026|2026|45|percent||q=eq
    """)


def test_evidence_about_something_else_is_not_held_against_a_claim() -> None:
    """Internet users are no users of AI; 500 is not 480 told in another month."""
    evidence = """
        e1|maker|Brazil|ai_users|telemetry|2025-06|2025-06|20000000|persons||q=eq
        e2|maker|Gemini|tokens_processed|all products|2025-05|2025-05|480000000000000|tokens||q=eq
    """
    assert not alarms(
        """
        a|one|Brazil|internet_users|survey|2025-06|2025-06|180000000|persons||q=eq
        b|one|Gemini|tokens_processed|all products|2025-06|2025-06|500000000000000|tokens||q=eq
        """,
        evidence,
    )


def test_the_shipped_claims_fail_no_check_of_arithmetic() -> None:
    """What they disagree on is scope; their sums, growth and conversions are right."""
    verdicts = {(one.kind, one.verdict) for one in check_claims(shipped_claims(documents=False)) if one.is_alarm}
    assert verdicts == {("scope_mismatch", "flag")}


def test_two_spellings_of_one_scope_do_not_hide_a_slip() -> None:
    """3e12 x 31 = 93e12 against 9e9: k = -4."""
    assert alarms("""
        a|doc|Zhipu|tokens_per_day|MaaS|2026-01|2026-01|3000000000000|tokens_per_day|3万亿|q=eq
        b|doc|Zhipu|tokens_called|MaaS platform|2026-01|2026-01|9000000000|tokens|90亿|q=eq
    """) == {("scale_slip", "fail", of("a", "b"))}


def test_what_had_piled_up_told_as_one_years() -> None:
    rows = """
        a|doc|Acme|tokens_called|API|2024|2025|900000000000|tokens||q=eq
        b|doc|Acme|tokens_called|API|2025|2025|{}|tokens||q=eq
    """
    assert alarms(rows.format(900000000000)) == {("period_slip", "flag", of("a", "b"))}
    assert not alarms(rows.format(600000000000))


def test_a_weeks_tokens_told_as_a_months() -> None:
    assert alarms("""
        a|doc|Router X|weekly_tokens|platform|2026-05-04|2026-05-10|25700000000000|tokens||q=eq
        b|doc|Router X|monthly_tokens|platform|2026-05|2026-05|25700000000000|tokens||q=eq
    """) == {("period_slip", "flag", of("a", "b"))}


@pytest.mark.parametrize(
    ("unit", "metric"), [("persons", "weekly_users"), ("percent", "usage_change"), ("count", "models")]
)
def test_one_figure_of_any_unit_ten_times_as_large_in_another_source(unit: str, metric: str) -> None:
    rows = f"""
        a|one|ChatGPT|{metric}|app|2025-10|2025-10|80|{unit}||q=eq
        b|two|ChatGPT|{metric}|app|2025-10|2025-10|{{}}|{unit}||q=eq
    """
    assert alarms(rows.format(8)) == {("scale_slip", "fail", of("a", "b"))}
    assert alarms(rows.format("8.9")) == {("conflict", "flag", of("a", "b"))}


def test_calls_times_their_mean_are_the_tokens() -> None:
    """2e9 calls x 2,500 tokens = 5e12."""
    rows = """
        a|doc|Acme|mean_tokens|API|2025|2025|2500|tokens_per_request||q=eq
        b|doc|Acme|calls|API|2025|2025|2000000000|calls||q=eq
        c|doc|Acme|tokens_called|API|2025|2025|{}|tokens||q=eq
    """
    assert keys(rows.format(5000000000000)) == {("conversion", "pass", of("a", "b", "c"))}
    assert alarms(rows.format(5000000000)) == {("scale_slip", "fail", of("a", "b", "c"))}


def test_users_of_a_day_and_of_a_month() -> None:
    rows = """
        a|doc|Doubao|daily_active_users|app|2025-12|2025-12|{}|persons||q=eq
        b|doc|Doubao|monthly_active_users|app|2025-12|2025-12|80000000|persons||q=eq
    """
    assert alarms(rows.format(100000000)) == {("part_whole", "fail", of("a", "b"))}
    assert alarms(rows.format(80000000)) == {("metric_word", "flag", of("a", "b"))}
    assert not alarms(rows.format(30000000))


def test_parts_that_are_more_than_their_whole() -> None:
    """70 + 60 > 100; parts by name may overlap, parts that say so may not."""
    named = """
        a|doc|Group|revenue|AI cloud|2025|2025|100000000|usd||q=eq
        b|doc|Group - cloud|revenue|AI cloud|2025|2025|70000000|usd||q=eq
        c|doc|Group - API|revenue|AI cloud|2025|2025|{}|usd||q=eq
    """
    assert ("part_whole", "flag", of("a", "b", "c")) in alarms(named.format(60000000))
    assert not alarms(named.format(25000000))
