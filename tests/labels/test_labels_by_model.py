"""A model as labeller: a fixed question, a strict reading of whatever comes back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.provider import FakeProvider, completion
from tidegate.config import Config, Gateway
from tidegate.config import Labels as LabelSettings
from tidegate.core.errors import ConfigError
from tidegate.core.sample import LABELLER_APP
from tidegate.labels.by_model import TEXT_CHARS_MAX, ModelLabeller, question, read_answer
from tidegate.labels.labeller import LabellerFailed

PROGRAMMING, HEALTH = "/Computers & Electronics/Programming", "/Health"


def answer(*tasks, language="en"):
    return json.dumps({"language": language, "tasks": [{"path": path, "confidence": sure} for path, sure in tasks]})


def tags(found):
    return [(tag.path, tag.confidence_ppm) for tag in found.tags]


def test_the_question_names_the_paths_and_cuts_the_text():
    asked = question("x" * (TEXT_CHARS_MAX * 2))
    assert PROGRAMMING in asked and asked.count("x") < TEXT_CHARS_MAX + 200


def test_an_answer_is_read_whatever_stands_around_it():
    found = read_answer(f"Sure!\n```json\n{answer((HEALTH, 0.3), (PROGRAMMING, 0.9))}\n```")
    assert (found.language, tags(found)) == ("en", [(PROGRAMMING, 900_000), (HEALTH, 300_000)])


def test_paths_that_were_not_offered_are_left_out_and_none_comes_twice():
    found = read_answer(answer(("/Made/Up", 0.9), (HEALTH, 0.2), (HEALTH, 0.7), language=None))
    assert (found.language, tags(found)) == (None, [(HEALTH, 700_000)])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no",
        "{}}",
        '{"language": "the English language"}',
        answer((HEALTH, 1.5)),
        '{"tasks": 3}',
        "}{",
        '{"language": "en\\u0000"}',
    ],
)
def test_any_other_answer_is_no_label(content):
    with pytest.raises(LabellerFailed):
        read_answer(content)


@given(st.text(max_size=200))
def test_no_answer_of_a_model_is_an_accident(content):
    try:
        read_answer(content)
    except LabellerFailed:
        pass


async def test_the_model_is_asked_over_openais_chat_and_by_name():
    """Its calls say whose they are, so that the gateway never samples them."""

    async def reply(call):
        await call.reply(200, completion("judge", text=answer((HEALTH, 0.8), language="de")))

    with FakeProvider({"judge": reply}) as provider:
        labeller = ModelLabeller(provider.url, "judge", "sk-secret")
        try:
            found = await labeller.label("Was hilft gegen Husten?")
        finally:
            await labeller.close()
        (call,) = provider.calls
    assert (found.language, tags(found), labeller.name) == ("de", [(HEALTH, 800_000)], "model:judge")
    assert call.headers["x-title"] == LABELLER_APP and call.headers["authorization"] == "Bearer sk-secret"
    assert "Was hilft gegen Husten?" in call.body["messages"][0]["content"] and call.body["temperature"] == 0


@pytest.mark.parametrize(("status", "payload"), [(429, {"error": {}}), (200, {"choices": []}), (200, b"<html>")])
async def test_a_failing_model_costs_a_label_and_names_no_text(status, payload):
    async def reply(call):
        await call.reply(status, payload)

    with FakeProvider({"judge": reply}) as provider:
        labeller = ModelLabeller(provider.url, "judge", "k")
        with pytest.raises(LabellerFailed) as failure:
            await labeller.label("a very secret text")
        await labeller.close()
    assert "secret" not in str(failure.value)


async def test_a_model_that_is_not_there_is_said():
    labeller = ModelLabeller("http://127.0.0.1:9/v1", "judge", "k")
    with pytest.raises(LabellerFailed, match="cannot be asked"):
        await labeller.label("x")
    await labeller.close()


def test_by_default_this_gateway_is_asked_with_a_key_of_the_labellers_own():
    config = Config(gateway=Gateway(port=9999), labels=LabelSettings(labeller="model", model="acme/judge"))
    with pytest.raises(ConfigError, match="TIDEGATE_LABELS_KEY"):
        ModelLabeller.of(config, {})
    labeller = ModelLabeller.of(config, {"TIDEGATE_LABELS_KEY": "k"})
    assert labeller._url == "http://127.0.0.1:9999/v1/chat/completions"
