"""Text becomes the same vector everywhere, whatever its length and however it is typed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.labels import features

FLAT = np.ones(features.BUCKETS, np.float32)


def test_vectors_are_pinned_to_the_features_version() -> None:
    """Weights are useless against other buckets: whoever changes one of these numbers raises VERSION."""
    buckets, values = features.vector("Fix the bug in 代码", FLAT)
    assert features.VERSION == 5
    assert (buckets.size, int(buckets.sum()), round(float(values.sum()), 3)) == (60, 7779866, 9.849)


def test_capitals_spaces_widths_and_the_digits_of_a_number_change_nothing() -> None:
    plain = features.vector("sum of 12 and 7", FLAT)
    typed = features.vector("  SUM  of ９９ \t and 3 ", FLAT)
    assert np.array_equal(plain[0], typed[0])
    assert np.allclose(plain[1], typed[1])


def test_a_long_prompt_is_read_at_both_ends() -> None:
    """What is asked stands before or after what was pasted."""
    pasted = "lorem ipsum " * 5000
    read = features.cut(f"first words {pasted} last words")
    assert read.startswith("first words") and read.endswith("last words")
    assert len(read) <= features.HEAD_CHARS + features.TAIL_CHARS + 1


def test_empty_text_has_no_features() -> None:
    assert features.vector(" \n\t ", FLAT)[0].size == 0


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400))
def test_any_text_gives_sorted_unique_buckets_and_bounded_values(text: str) -> None:
    """Lone surrogates, right-to-left marks, emoji: a labeller must not fall over what people paste."""
    buckets, values = features.vector(text, FLAT)
    assert np.all(np.diff(buckets) > 0)
    assert np.all((buckets >= 0) & (buckets < features.BUCKETS))
    assert np.all(np.isfinite(values))
    assert float(np.linalg.norm(values)) <= 1 + 1 + 0.35 + 1e-5  # three groups, each of its own length
