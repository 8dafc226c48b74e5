"""What media cost, in one unit and never in two; how an estimate of sound is made; where a call for media goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config import ProviderConfig, Upstream
from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Endpoint, Quirks
from tidegate.core.price import KindRates, Price, Rates, cost
from tidegate.core.usage import TokenKinds, Usage
from tidegate.gateway.connect import Target
from tidegate.gateway.egress import request_prefix
from tidegate.gateway.media import media_serving
from tidegate.gateway.media_meter import settle_units, sound_s
from tidegate.gateway.table import Route, Serving
from tidegate.wire.media import MEDIA
from tidegate.wire.openai_chat import CHAT

COUNTS = st.integers(0, 10_000)
RATES = st.none() | st.integers(0, 10**12)


def price(**rates: object) -> Price:
    return Price(price_id="m@p#", rates=Rates(**{"input": 0, "output": 0, **rates}))  # type: ignore[arg-type]


@given(COUNTS, COUNTS, COUNTS, COUNTS, RATES, RATES, st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_call_is_charged_in_one_unit(
    tokens_in: int, tokens_out: int, images: int, seconds: int, image: int | None, second: int | None,
    rate_in: int, rate_out: int,
) -> None:  # fmt: skip
    """Price lists often hold one price in two units; their sum would be twice the bill."""
    usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out, images=images, audio_input_s=seconds)
    at = price(input=rate_in, output=rate_out, image=image, audio_input_s=second)
    settlement = settle_units(usage, at)
    by_units = cost(Usage(images=images, audio_input_s=seconds), at)
    by_tokens = cost(Usage(input_tokens=tokens_in, output_tokens=tokens_out), at)
    if settlement is None:  # the price is for something that the reply did not tell: it is counted elsewhere
        assert at.rates != Rates(input=0, output=0)
        return
    has_units = bool((images and image) or (seconds and second))
    assert settlement.cost_nano_usd == (by_units if has_units else by_tokens)
    assert settlement.usage == usage


def test_a_price_for_another_unit_than_was_told_is_not_zero() -> None:
    """A transcript without its length is not free where seconds have a price, nor a text where tokens do."""
    assert settle_units(Usage(input_tokens=9, output_tokens=9), price(audio_input_s=10**8)) is None
    assert settle_units(Usage(images=1), price(input=10**9)) is None


def test_kinds_of_tokens_have_their_own_rates() -> None:
    usage = Usage(input_tokens=100, output_tokens=10, kinds=TokenKinds(audio_input=100))
    told = settle_units(usage, price(input=2 * 10**9, output=10**10, kinds=KindRates(audio_input=6 * 10**9)))
    assert told is not None
    assert told.cost_nano_usd == 100 * 6000 + 10 * 10_000


def test_requests_and_searches_are_charged_by_the_piece() -> None:
    told = settle_units(Usage(requests=3), price(request=2 * 10**12))
    assert told is not None
    assert told.cost_nano_usd == 3 * 2_000_000


@pytest.mark.parametrize("seconds", [0, 1, 7, 3600])
def test_a_wave_files_own_header_tells_how_long_it_is(seconds: int) -> None:
    head = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\2\0" + (44_100).to_bytes(4, "little") + (176_400).to_bytes(4, "little")
    assert sound_s(head + bytes(12), 44 + seconds * 176_400, b"audio/wav") == seconds


@given(st.binary(max_size=80), st.integers(0, 10**12), st.sampled_from([b"", b"audio/pcm", b"audio/mpeg"]))
def test_no_sound_breaks_the_measure(begin: bytes, length: int, content_type: bytes) -> None:
    seconds = sound_s(begin, length, content_type)
    assert seconds is None or 0 <= seconds <= 10**6


# -- where a call goes ------------------------------------------------------------------------------------------------


def route(base_url: str, auth: str = "bearer", **said: str) -> Route:
    target = Target("p", base_url, ProviderConfig(), Upstream())
    prefix = request_prefix(target, "openai-chat", auth, "k", model="m", **said)  # type: ignore[arg-type]
    serving = Serving(CHAT, target, "m", Quirks(), prefix, prefix, prefix)
    endpoint = Endpoint(endpoint_id="m@p", provider="p", model="m", upstream_model="m")
    return Route(endpoint, price(), {"openai-chat": serving})


@pytest.mark.parametrize("media", MEDIA, ids=lambda media: media.kind.path)
@pytest.mark.parametrize(
    ("base_url", "said", "line"),
    [
        ("https://x.example/v1", {}, "/v1/{path}"),
        ("https://x.example", {}, "/{path}"),
        ("https://a.openai.azure.com/openai", {"auth": "api-key", "api_version": "2024-10-21"},
         "/openai/deployments/m/{path}?api-version=2024-10-21"),
    ],
)  # fmt: skip
def test_media_stand_beside_chat(media, base_url: str, said: dict[str, str], line: str) -> None:  # type: ignore[no-untyped-def]
    """The same host and key; the body's type and length follow, and any type of reply is accepted."""
    for is_form in (False, True):
        serving = media_serving(route(base_url, **said), media, is_form=is_form)
        first, *headers = serving.whole_prefix.decode().split("\r\n")
        assert first == f"POST {line.format(path=media.kind.path)} HTTP/1.1"
        names = [header.partition(":")[0] for header in headers]
        assert len(names) == len(set(names))
        assert headers[-1] == "content-length: "
        assert "accept: */*" in headers
        assert ("content-type: application/json" in headers) is not is_form
        assert {"host", "authorization" if "auth" not in said else "api-key"} <= set(names)


def test_a_provider_without_openais_interface_serves_no_media() -> None:
    endpoint = Endpoint(endpoint_id="m@p", provider="p", model="m", upstream_model="m")
    with pytest.raises(InvalidRequest, match="audio/speech"):
        media_serving(Route(endpoint, price(), {}), MEDIA[3], is_form=False)
