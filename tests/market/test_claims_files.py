"""A file of claims that cannot be used is refused with its row and the mend; the book is never edited."""

from decimal import Decimal

import pytest
from claim_rows import COLUMNS, claims_of

from tidegate.market.book import Correction, corrected, shipped_claims
from tidegate.market.claim import MarketError, low_high

GOOD = {
    "id": "a",
    "seed_file": "one",
    "entity": "Qwen",
    "metric": "tokens_called",
    "scope": "API",
    "period_start": "2025-01",
    "period_end": "2025-06",
    "value": "12",
    "unit": "tokens",
    "as_stated": "12",
    "note": "q=eq",
}


def row(**changed: str) -> str:
    return "|".join({**GOOD, **changed}.values())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"period_start": ""}, "period_start is empty; give a day, month or year"),
        ({"period_start": "spring"}, "is no date; write 2025-05-31"),
        ({"period_end": "2024-12"}, "lies before period_start"),
        ({"unit": "wibbles"}, "unit 'wibbles' is unknown"),
        ({"value": "many"}, "is no number"),
        ({"value": "NaN"}, "is not finite"),
        ({"value": ""}, "value is empty"),
        ({"metric": "token_share", "unit": "percent", "scope": ""}, "say in scope what 100 % is"),
        ({"note": "q=maybe"}, "qualifier 'maybe' is unknown"),
        ({"note": "q=range"}, "needs value_hi"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_the_mend(changed: dict[str, str], words: str) -> None:
    with pytest.raises(MarketError, match=r"claims\.csv, row 2 \(a\): ") as caught:
        claims_of(row(**changed))
    assert words in str(caught.value)


def test_a_reversed_bound_is_refused() -> None:
    with pytest.raises(MarketError, match="a reversed bound; exchange them"):
        claims_of(row() + "|9", COLUMNS + "|value_hi")


def test_an_id_may_occur_once() -> None:
    with pytest.raises(MarketError, match=r"already in claims\.csv, row 2"):
        claims_of(row() + "\n" + row())


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MarketError, match="has no column unit"):
        claims_of("a|Qwen|x|2025|3", "id|entity|metric|period_start|value")


def test_periods_may_be_days_months_quarters_halves_and_years() -> None:
    claims = claims_of(
        "\n".join(
            row(id=text, period_start=text, period_end=text)
            for text in ("2024-02", "2025Q2", "2025H2", "2025", "2025-03-04")
        )
    )
    spans = [(str(one.period_start), str(one.period_end)) for one in claims]
    assert spans == [
        ("2024-02-01", "2024-02-29"),
        ("2025-04-01", "2025-06-30"),
        ("2025-07-01", "2025-12-31"),
        ("2025-01-01", "2025-12-31"),
        ("2025-03-04", "2025-03-04"),
    ]


def test_a_figure_stands_for_half_a_unit_of_its_last_digit() -> None:
    (claim,) = claims_of(row(value="114200000000000", as_stated="114.2万亿"))
    assert low_high(claim) == (114.15e12, 114.25e12)


def test_a_correction_is_a_row_beside_the_claim() -> None:
    claims = claims_of(row(value="50000000000"))
    change = Correction(
        claim_id="a",
        field="value",
        seen="50000000000",
        proposed="500000000000000",
        why="亿 for 万亿",
        by="me",
        at="2026-11-22",
    )
    (mended,) = corrected(claims, [change])
    assert (claims[0].value, mended.value) == (Decimal(5 * 10**10), Decimal(5 * 10**14))


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"claim_id": "z"}, "not in the book"), ({"seen": "51"}, "the book has"), ({"field": "note"}, "it may be")],
)
def test_a_correction_that_does_not_fit_is_refused(changed: dict[str, str], words: str) -> None:
    fields = {
        "claim_id": "a",
        "field": "value",
        "seen": "12",
        "proposed": "13",
        "why": "w",
        "by": "b",
        "at": "2026-11-22",
    }
    with pytest.raises(MarketError, match=words):
        corrected(claims_of(row()), [Correction(**{**fields, **changed})])


def test_the_shipped_book_has_sixty_claims_of_its_own_each_with_source_date_and_place() -> None:
    own = shipped_claims(documents=False)
    assert len(own) >= 60
    for claim in own:
        assert claim.source_id and claim.publisher and claim.retrieved_from and claim.retrieved_at and claim.locator
        assert claim.confidence in tuple("ABCD") and claim.status
    assert len(shipped_claims()) > len(own)


@pytest.mark.parametrize(
    ("words", "qualifier"),
    [
        ("超100万亿", "gt"),
        ("近30%", "lt"),
        ("约70%", "approx"),
        ("over 15 billion", "gt"),
        ("nearly 50%", "lt"),
        ("300+", "gt"),
    ],
)
def test_the_words_tell_over_under_and_about_where_no_reader_did(words: str, qualifier: str) -> None:
    (claim,) = claims_of(row(as_stated=words, note=""))
    assert claim.qualifier == qualifier
    (told,) = claims_of(row(as_stated=words, note="q=eq; read by hand"))
    assert told.qualifier == "eq"
