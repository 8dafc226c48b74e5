"""Usage in every dialect: totals that include what was cached, parts that never exceed them, and back."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.price import KindRates, Price, Rates, cost
from tidegate.core.usage import TokenKinds, Usage
from tidegate.wire.events import UsageSeen
from tidegate.wire.openai_chat import WireUsage, usage_from_wire
from tidegate.wire.usage import FLAVOURS, TOKENS_MAX, decode_usage, encode_usage, merge_usage

COUNT = st.integers(0, 10**6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"),
        *("completion_tokens_details", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "audio_tokens"),
        *("prompt_cache_hit_tokens", "input_tokens", "output_tokens", "input_tokens_details"),
        *("output_tokens_details", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"),
        *("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "server_tool_use", "web_search_requests"),
        *("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "promptTokensDetails"),
        *("cacheTokensDetails", "modality", "tokenCount", "cachedContentTokenCount", "inputTokens", "outputTokens"),
        *("cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails", "ttl", "cost", "cost_details"),
        *("cost_in_usd_ticks", "estimated_cost", "is_byok"),
    ]
)
NONSENSE = st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON) | st.lists(st.dictionaries(NAMES, JSON)))


def read(flavour: str, **members: Any) -> Usage:
    """The usage that these members of a usage object say."""
    seen = decode_usage(msgspec.json.encode(members), flavour)
    assert seen is not None
    return seen.usage


def charge(usage: Usage, **rates: int | KindRates) -> int:
    """Nano-USD, at rates in nano-USD per million."""
    return cost(usage, Price(price_id="p", rates=Rates(**rates)))  # type: ignore[arg-type]


# -- each complaint of others' users, as a test ------------------------------------------------------------------------


def test_complaint_1_gemini_cached_tokens_are_charged_once_at_the_cached_rate() -> None:
    """BerriAI/litellm#14849 logged 0.76 USD where 0.18 were due: cached tokens at the full rate and at their own."""
    usage = read("gemini", promptTokenCount=250_000, cachedContentTokenCount=240_000, candidatesTokenCount=100)

    assert (usage.input_tokens, usage.cache_read_input_tokens) == (250_000, 240_000)
    rates = {"input": 1_250_000_000, "output": 10 * 10**9, "cache_read": 125_000_000}
    assert charge(usage, **rates) == 10_000 * 1_250 + 240_000 * 125 + 100 * 10_000


def test_complaint_2_cached_audio_and_images_are_charged_once() -> None:
    """BerriAI/litellm#37407: where cached tokens and tokens of media overlap, each token has one rate."""
    usage = read(
        "openai-chat",
        prompt_tokens=1_000,
        completion_tokens=0,
        prompt_tokens_details={"cached_tokens": 600, "image_tokens": 700, "text_tokens": 300},
    )

    assert usage.kinds == TokenKinds(image_input=700, image_cache_read=300)  # 300 cached are text, so 300 are images
    dear = KindRates(image_input=5 * 10**9, image_cache_read=500_000_000)
    bill = charge(usage, input=10**9, output=0, cache_read=100_000_000, kinds=dear)
    assert bill == 300 * 100 + 300 * 500 + 400 * 5_000


@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_complaint_2_no_mix_of_parts_costs_more_than_its_dearest_rate(
    prompt: int, cached: int, audio: int, image: int, written: int
) -> None:
    """However the parts overlap, and even where they contradict the total."""
    details = {"cached_tokens": cached, "audio_tokens": audio, "image_tokens": image, "cache_write_tokens": written}
    usage = read("openai-chat", prompt_tokens=prompt, completion_tokens=0, prompt_tokens_details=details)
    own = KindRates(audio_input=8 * 10**9, image_input=2 * 10**9, audio_cache_read=10**8, image_cache_read=10**8)
    bill = charge(usage, input=10**9, output=0, cache_read=10**8, cache_creation=1_250_000_000, kinds=own)
    assert prompt * 100 <= bill <= prompt * 8_000


def test_complaint_3_anthropic_cache_reads_are_part_of_the_input_and_discounted() -> None:
    """BerriAI/litellm#11364: Anthropic's own input leaves cached tokens out; the total must have them, once."""
    usage = read(
        "anthropic",
        input_tokens=5_130,
        cache_read_input_tokens=66_360,
        cache_creation_input_tokens=32_435,
        output_tokens=5_120,
    )

    assert usage.input_tokens == 5_130 + 66_360 + 32_435
    rates = {"input": 5 * 10**9, "output": 25 * 10**9, "cache_read": 500_000_000, "cache_creation": 6_250_000_000}
    assert charge(usage, **rates) == 5_130 * 5_000 + 66_360 * 500 + 32_435 * 6_250 + 5_120 * 25_000


@pytest.mark.parametrize(("split", "long"), [((31_490, 0), 0), ((0, 31_490), 184_457), ((20_000, 11_490), 11_490)])
def test_complaint_4_cache_writes_of_server_tools_after_message_start_are_charged(
    split: tuple[int, int], long: int
) -> None:
    """BerriAI/litellm#42663: the split by lifetime is of the first turn only; the total of the last event counts."""
    start = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 31_490,
        "cache_creation": {"ephemeral_5m_input_tokens": split[0], "ephemeral_1h_input_tokens": split[1]},
        "output_tokens": 1,
    }
    last = {"output_tokens": 700, "cache_creation_input_tokens": 184_457, "server_tool_use": {"web_search_requests": 5}}

    merged = merge_usage(msgspec.json.encode(start), msgspec.json.encode(last))
    seen = decode_usage(merged, "anthropic")

    assert seen is not None
    assert (seen.usage.cache_creation_input_tokens, seen.usage.web_searches) == (184_457, 5)
    assert seen.usage.cache_creation_1h_input_tokens == long  # what the split leaves open lives as long as the rest


def test_complaint_5_reasoning_is_part_of_the_output_and_nothing_is_dropped() -> None:
    """BerriAI/litellm#18599 charged reasoning tokens and dropped the visible ones."""
    chat = read(
        "openai-chat", prompt_tokens=10, completion_tokens=100, completion_tokens_details={"reasoning_tokens": 60}
    )
    gemini = read("gemini", promptTokenCount=10, candidatesTokenCount=40, thoughtsTokenCount=60)
    beside = read(
        "openai-chat",
        prompt_tokens=10,
        completion_tokens=40,
        total_tokens=110,
        completion_tokens_details={"reasoning_tokens": 60},
    )

    assert chat == gemini == beside == Usage(input_tokens=10, output_tokens=100, reasoning_output_tokens=60)
    assert charge(chat, input=0, output=10**9, reasoning=2 * 10**9) == 40 * 1_000 + 60 * 2_000


@pytest.mark.parametrize("flavour", [name for name in FLAVOURS if name != "openai-embeddings"])
@pytest.mark.parametrize("target", [name for name in FLAVOURS if name != "openai-embeddings"])
def test_complaint_21_usage_survives_from_any_dialect_into_any_other(flavour: str, target: str) -> None:
    """envoyproxy/ai-gateway#2352: callers of Anthropic's dialect saw no input tokens from OpenAI's providers."""
    told = Usage(input_tokens=100, output_tokens=50, cache_read_input_tokens=30, cache_creation_input_tokens=0)
    seen = decode_usage(msgspec.json.encode(encode_usage(UsageSeen(told), flavour)), flavour)
    assert seen is not None

    again = decode_usage(msgspec.json.encode(encode_usage(seen, target)), target)

    assert again is not None
    assert again.usage == told


# -- what a provider reports of its own charge -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "nano_usd"),
    [
        ({"cost": 0.00435825}, 4_358_250),  # OpenRouter
        ({"cost": 0}, 0),  # free is not unknown
        ({"cost": 1e-05}, 10_000),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}, 210_000_000),
        ({"cost": 0.01, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.01}}, 10_000_000),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005}}, 6_000_000),  # Perplexity
        ({"cost_in_usd_ticks": 37_756_000}, 3_775_600),  # xAI: 1e-10 USD
        ({"cost_in_usd_ticks": 15}, 2),  # half to even
        ({"estimated_cost": 0.00002}, 20_000),  # DeepInfra
        ({"cost": -1}, None),
        ({"cost": "0.1"}, None),
        ({"cost": True}, None),
        ({"cost": None}, None),
        ({}, None),
    ],
)
def test_the_providers_own_charge_is_read_to_the_nano_dollar(members: dict[str, Any], nano_usd: int | None) -> None:
    """What it says that it charges wins over our price, so it must be exact, and a doubt is no charge."""
    body = {"prompt_tokens": 1, "completion_tokens": 1, **members}
    seen = decode_usage(msgspec.json.encode(body), "openai-chat")
    assert seen is not None
    assert seen.cost_nano_usd == nano_usd


def test_openrouter_callers_get_the_cost_and_its_parts() -> None:
    """The members of OpenRouter's schema: chat calls the parts prompt and completions, Responses input and output."""
    seen = UsageSeen(Usage(input_tokens=10, output_tokens=5, web_searches=1), cost_nano_usd=1_200_000)

    chat = encode_usage(seen, "openai-chat", openrouter=True, cost_split=(800_000, 400_000))
    responses = encode_usage(seen, "openai-responses", openrouter=True, cost_split=(800_000, 400_000))

    assert (chat["cost"], chat["is_byok"]) == (0.0012, False)
    assert chat["cost_details"]["upstream_inference_prompt_cost"] == 0.0008
    assert responses["cost_details"]["upstream_inference_output_cost"] == 0.0004
    assert chat["server_tool_use_details"] == {"web_search_requests": 1}
    assert "cost" not in encode_usage(UsageSeen(seen.usage), "openai-chat", openrouter=True)  # unknown is not free


# -- rules that always hold --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", FLAVOURS)
@given(body=NONSENSE)
def test_no_body_makes_the_reader_fail(flavour: str, body: dict[str, Any]) -> None:
    """A provider's nonsense is no usage, or usage that agrees with itself: `Usage` refuses any other."""
    decode_usage(msgspec.json.encode(body), flavour)


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"7", b"{", b'{"prompt_tokens":1e999}', b"\xff", b"[" * 5000])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_is_no_usage_object_is_none(flavour: str, raw: bytes) -> None:
    """A reply without usage is not a reply of zero tokens."""
    assert decode_usage(raw, flavour) is None


@pytest.mark.parametrize("value", [-1, TOKENS_MAX + 1, 1.5, "x", True, None, [3]])
def test_a_total_that_is_no_count_is_no_usage(value: object) -> None:
    """And nobody is charged for it."""
    assert decode_usage(msgspec.json.encode({"prompt_tokens": value, "completion_tokens": 1}), "openai-chat") is None


@st.composite
def chat_bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Usage objects of OpenAI's dialect, wrong ones among them."""
    count = st.integers(-2, 60) | st.just(TOKENS_MAX + 1) | st.none()
    names = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens", "cached_tokens")
    body = {name: draw(count) for name in names if draw(st.booleans())}
    prompt = st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens"]), count)
    spent = st.dictionaries(st.just("reasoning_tokens"), count)
    return body | draw(
        st.fixed_dictionaries(
            {}, optional={"prompt_tokens_details": st.none() | prompt, "completion_tokens_details": st.none() | spent}
        )
    )


@given(chat_bodies())
def test_the_hot_path_and_the_normaliser_agree(body: dict[str, Any]) -> None:
    """Two readers of OpenAI's usage, one for speed: a call costs the same through either."""
    raw = msgspec.json.encode(body)
    fast = usage_from_wire(msgspec.json.decode(raw, type=WireUsage))
    seen = decode_usage(raw, "openai-chat")
    assert (seen.usage if seen else None) == fast


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    entered, left = draw(COUNT), draw(COUNT)
    read_ = draw(st.integers(0, entered))
    written = draw(st.integers(0, entered - read_))
    return Usage(
        input_tokens=entered,
        output_tokens=left,
        cache_read_input_tokens=read_,
        cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=draw(st.sampled_from([0, written // 3, written])),
        reasoning_output_tokens=draw(st.integers(0, left)),
    )


SAYS = {  # flavour -> the parts that it can say
    "openai-chat": {"cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_output_tokens"},
    "openai-responses": {"cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_output_tokens"},
    "anthropic": {
        *("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation_1h_input_tokens"),
        "reasoning_output_tokens",
    },
    "gemini": {"cache_read_input_tokens", "reasoning_output_tokens"},
    "bedrock": {"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation_1h_input_tokens"},
}


@pytest.mark.parametrize("flavour", SAYS)
@given(usage=usages())
def test_what_a_dialect_can_say_comes_back(flavour: str, usage: Usage) -> None:
    """Totals always, and every part that the dialect has a word for."""
    seen = decode_usage(msgspec.json.encode(encode_usage(UsageSeen(usage), flavour)), flavour)
    assert seen is not None
    assert seen.usage.total_tokens == usage.total_tokens
    assert seen.usage.input_tokens == usage.input_tokens
    for part in SAYS[flavour]:
        assert getattr(seen.usage, part) == getattr(usage, part), part


def test_gemini_says_the_kinds_of_tokens_and_they_come_back() -> None:
    """Audio, pages and frames, asked and answered, cached or not."""
    usage = read(
        "gemini",
        promptTokenCount=1_000,
        cachedContentTokenCount=230,
        cacheTokensDetails=[{"modality": "DOCUMENT", "tokenCount": 172}, {"modality": "TEXT", "tokenCount": 58}],
        promptTokensDetails=[{"modality": "TEXT", "tokenCount": 87}, {"modality": "DOCUMENT", "tokenCount": 258},
                             {"modality": "AUDIO", "tokenCount": 655}],
        candidatesTokenCount=20,
        candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 15}],
    )  # fmt: skip
    assert usage.kinds == TokenKinds(image_input=258, image_cache_read=172, audio_input=655, image_output=15)
    assert read("gemini", **encode_usage(UsageSeen(usage), "gemini")) == usage


def test_results_of_geminis_own_tools_are_input() -> None:
    """They stand beside the prompt in its report, and on its bill."""
    usage = read(
        "gemini", promptTokenCount=209, toolUsePromptTokenCount=286, candidatesTokenCount=206, thoughtsTokenCount=131
    )
    assert (usage.input_tokens, usage.output_tokens) == (495, 337)


def test_a_later_usage_fills_in_an_earlier_one_and_null_takes_nothing_away() -> None:
    """Anthropic: the input's counts come with the first event, the output's with the last."""
    first = b'{"input_tokens":25,"cache_read_input_tokens":10,"output_tokens":1}'
    later = b'{"output_tokens":15,"input_tokens":null,"new":[1]}'
    merged = msgspec.json.decode(merge_usage(first, later))
    assert merged == {"input_tokens": 25, "cache_read_input_tokens": 10, "output_tokens": 15, "new": [1]}
    assert merge_usage(b"nonsense", later) == merge_usage(b"", later)
