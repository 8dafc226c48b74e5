"""Seals of one maker survive a trip through another's dialect."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.carrier import Carried, pack, unpack
from tidegate.wire.conversation import Origin

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.sampled_from(get_args(Origin)), texts, texts, texts)
def test_what_was_packed_comes_back(origin, signature, call_id, item_id):
    packed = pack(origin, signature, call_id, item_id)
    assert unpack(packed) == Carried(origin, signature, call_id, item_id)


@given(st.sampled_from(get_args(Origin)), texts)
def test_a_carrier_is_plain_ascii_that_fits_a_url(origin, signature):
    """It travels in fields that other people's code copies, logs and stores."""
    packed = pack(origin, signature)
    assert packed.startswith("tg1.")
    assert set(packed[4:]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(texts)
def test_a_makers_own_signature_is_no_carrier(text):
    assert text.startswith("tg1.") or unpack(text) is None


@pytest.mark.parametrize(
    "damaged",
    [
        "tg1.",
        "tg1.!!!!",
        "tg1.AAAA",
        "tg1.é",
        pack("openai", "abc")[:-3],
        "tg1.eyJvIjoibW9vbiIsInMiOiJ4In0",
        "tg1.W10",
        "tg1." + "A",
    ],
)
def test_a_damaged_carrier_is_none(damaged):
    """An unknown origin ("moon" here) is damage too: nobody could read that seal."""
    assert unpack(damaged) is None


@given(texts)
def test_any_text_after_the_prefix_is_read_or_refused_but_never_fails(text):
    unpack("tg1." + text)


def test_a_redacted_thought_is_carried_as_one():
    """A seal over nothing that can be read and a redacted thought look alike; their maker tells them apart."""
    assert unpack(pack("anthropic", "sealed", is_redacted=True)) == Carried("anthropic", "sealed", is_redacted=True)
    assert unpack(pack("anthropic", "sealed")) == Carried("anthropic", "sealed")
