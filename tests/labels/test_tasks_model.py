"""The task classifier: what it says, how sure it is, and that it can be made again from our own prompts."""

import numpy as np
import pytest

from tidegate.catalog.task_paths import task_paths
from tidegate.labels.labelled import held_out_prompts, training_prompts, vocabulary
from tidegate.labels.tasks import TaskModel, WeightsError, encode, shipped_model, task_tags

WEIGHTS_BYTES_MAX = 1_000_000
TWELVE = task_paths().categories
OF_EACH = [  # written for this test; neither trained on nor held out
    ("Why does my Python script raise KeyError when the dict has the key?", "programming"),
    ("请用 Java 写一个冒泡排序，并解释代码", "programming"),
    ("You are an old wizard in a tavern. Stay in character. *I sit down across from you*", "roleplay"),
    ("请你扮演一位古代侠客，和我对话", "roleplay"),
    ("Write three Instagram captions for our new lipstick launch campaign", "marketing"),
    ("给我们的奶茶店写一条小红书推广文案", "marketing"),
    ("Which keywords and meta description will help my page rank on Google? Our backlinks are few.", "seo"),
    ("My Windows laptop won't connect to the Wi-Fi router after the update", "technology"),
    ("Calculate the kinetic energy of a 3 kg mass at 4 m/s and explain momentum", "science"),
    ("求函数 f(x)=x²-4x 的最小值，写出过程", "science"),
    ("Translate this sentence into French: the library closes at nine", "translation"),
    ("把下面这段话翻译成英文：明天开会", "translation"),
    ("Can my landlord evict me without notice, and what does the lease contract law say?", "legal"),
    ("公司违法辞退，劳动合同没到期，怎么申请劳动仲裁要求赔偿", "legal"),
    ("Should I put my savings into an index fund or pay off the mortgage at 5% interest?", "finance"),
    ("I have a fever and a sore throat, which medicine and dose should I take?", "health"),
    ("最近头晕恶心，血压偏高，要不要去医院看医生", "health"),
    ("Trivia quiz: which country has won the most world cups?", "trivia"),
    ("Help me write the literature review of my master's thesis, with APA citations", "academia"),
    ("毕业论文开题报告的研究意义怎么写", "academia"),
]


@pytest.mark.parametrize(("text", "category"), OF_EACH)
def test_plain_cases_of_each_category_are_told(text: str, category: str) -> None:
    assert shipped_model().category(text) == category


def test_tags_are_paths_of_distinct_categories_best_first() -> None:
    """A figure that takes the top label must find it in front; one that splits must not count a category twice."""
    tags = task_tags("Fix this TypeError in my React code: undefined is not a function")
    said = [tag.confidence_ppm for tag in tags]
    assert task_paths().category_of(tags[0].path) == "programming"
    assert said == sorted(said, reverse=True)
    assert len({task_paths().category_of(tag.path) for tag in tags}) == len(tags) <= 3


def test_chances_of_paths_add_up_to_one() -> None:
    assert shipped_model().path_chances("how do vaccines work").sum() == pytest.approx(1)


@pytest.mark.parametrize("text", ["", " \n ", "\u2063"])
def test_text_of_which_nothing_is_known_gets_no_label(text: str) -> None:
    """Missing is missing: an empty prompt must not be counted under the commonest category."""
    assert task_tags(text) == []
    assert shipped_model().category(text) is None


def test_weights_fit_their_budget() -> None:
    from importlib import resources

    content = resources.files("tidegate.data").joinpath("labels/tasks.npz").read_bytes()
    assert len(content) <= WEIGHTS_BYTES_MAX


def test_weights_of_other_features_are_refused_with_the_mend() -> None:
    card = shipped_model().card
    old = type(card)(
        features_version=0,
        taxonomy_version=card.taxonomy_version,
        paths=("/Health",),
        temperature=1.0,
        seed=1,
        rows=1,
        made_from="",
    )
    content = encode(old, np.zeros((8, 1)), np.zeros(1), np.ones(8, np.float32))
    with pytest.raises(WeightsError, match="make labels"):
        TaskModel.decode(content)


def test_every_path_of_the_model_has_a_known_meaning() -> None:
    categories = {task_paths().category_of(path) for path in shipped_model().paths}
    assert categories == {*TWELVE, "other"}


def test_each_category_has_three_hundred_prompts_english_and_chinese() -> None:
    prompts = training_prompts()
    for category in TWELVE:
        own = [prompt for prompt in prompts if prompt.category == category]
        assert len(own) >= 300, f"{category}: {len(own)} prompts; write more in tools/labels"
        assert {"en", "zh"} <= {prompt.language for prompt in own}


def test_no_prompt_stands_twice_and_none_held_out_is_trained_on() -> None:
    """A held-out prompt that was learned from would flatter every number."""
    learned = {" ".join(prompt.text.lower().split()) for prompt in [*training_prompts(), *vocabulary()]}
    held = [" ".join(prompt.text.lower().split()) for prompt in held_out_prompts()]
    assert len(held) == len(set(held))
    assert not learned & set(held)
