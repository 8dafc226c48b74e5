"""A framework is refused with the name of the entry and the mend, before anything is computed from it."""

import pytest

from tidegate.index.framework import parse_framework, singles
from tidegate.index.table import IndexRefusal

GOOD = """
name: made up
measures: [goats]
groups:
  - {code: top}
  - {code: a, parent: top, weight: 3}
  - {code: b, parent: top, weight: 1}
  - {code: c, parent: top, weight: 1, absent: true}
indicators:
  - {code: herds, parent: a, unit: goats, kind: extensive, weight: 2, error_cv: 0.1}
  - {code: milk, parent: a, unit: percent, kind: share, denominator: herds}
  - {code: hunger, parent: b, unit: score 0-1, direction: -1, base: people, goalposts: {low: 0, high: 1}}
sizes:
  - {code: people, unit: persons}
"""


def test_effective_weights_are_the_products_down_the_tree_with_absent_groups_keeping_theirs() -> None:
    framework = parse_framework(GOOD)
    weights = framework.effective_weights()
    assert weights["a"] == pytest.approx(3 / 5)
    assert weights["herds"] == pytest.approx(3 / 5 * 2 / 3)
    assert weights["c"] == pytest.approx(1 / 5)
    assert [node.code for node in framework.nodes()][-1] == "top"
    assert framework.level("top") == 3
    assert framework.leaves("top") == ("herds", "milk", "hunger")


def test_a_group_of_one_is_flagged() -> None:
    assert singles(parse_framework(GOOD)) == ("b",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{code: a, parent: top", "{code: a, parent: b", None),
        ("{code: top}", "{code: top, parent: a}", "cycle: top -> a -> top"),
        ("{code: top}", "{code: top}\n  - {code: other}", "top and other"),
        ("parent: b,", "parent: nowhere,", "hunger has parent 'nowhere', which is no group; groups are top, a, b, c"),
        ("weight: 3", "weight: -3", "a has weight -3; a weight is above zero"),
        ("weight: 3", "weight: 0", "a has weight 0"),
        ("weight: 3", "weight: .nan", "a has weight nan"),
        ("direction: -1", "direction: 0", "indicator hunger: .*direction is 1 or -1"),
        ("unit: goats", "unit: goat", "herds has unknown unit 'goat'; did you mean goats"),
        ("unit: goats", "unit: zzzz", "declare it under `measures`"),
        (", denominator: herds", "", "milk is a share without a denominator"),
        ("denominator: herds", "denominator: cows", "milk has denominator 'cows', which is no column"),
        ("denominator: herds", "denominator: milk", "milk has denominator 'milk', which is no column"),
        ("base: people", "base: folk", "hunger has base 'folk', which is no column"),
        ("low: 0, high: 1", "low: 1, high: 0", "hunger has goalposts 1 .. 0; the first must be below the second"),
        ("error_cv: 0.1", "error_cv: -0.1", "herds has error_cv -0.1"),
        ("code: milk", "code: herds", "code herds is there twice"),
        ("absent: true", "absent: false", "group c has nothing in it"),
        ("weight: 1}", "weight: 1, absent: true}", "group b is marked absent but has hunger"),
        ("kind: extensive", "kind: big", "indicator herds: .*kind is extensive, intensive or share"),
        ("code: people, unit: persons", "code: people, unit: heads", "people has unknown unit 'heads'"),
    ],
)
def test_a_fault_is_named_with_its_entry_and_mend(old: str, new: str, said: str | None) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if said is None:
        assert parse_framework(text).level("top") == 4
        return
    with pytest.raises(IndexRefusal, match=said):
        parse_framework(text)
