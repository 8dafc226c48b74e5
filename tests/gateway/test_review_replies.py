"""Replies that are not what was asked for: no caller takes one for an answer, in any dialect."""

import asyncio
import itertools
import json
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from conformance.contracts import faults
from conformance.mock.faults import error_body
from rig.gateway import Gateway
from rig.provider import USAGE, Call, completion, delta, usage_event
from rig.scripted import SPOKEN, ScriptedProvider, post, spoken_by, start_before
from tidegate.wire.dialects import DIALECTS
from tidegate.wire.events import fold

CALLERS = ("openai-chat", "openai-responses", "anthropic", "gemini")
MAKERS = {"chat": "openai", "responses": "openai", "claude": "anthropic", "gem": "gemini"}
COMMENT_S = 0.3


async def page(call: Call) -> None:
    body = b"<html>502 Bad Gateway</html>"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n"
    await call.write(head % len(body) + body)


async def error_with_200(call: Call) -> None:
    await call.reply(200, error_body(MAKERS[spoken_by(call)], 429, "quota used up"))


async def busy(call: Call) -> None:
    await call.reply(429, error_body(MAKERS[spoken_by(call)], 429, "too fast"), "retry-after: 7\r\n")


async def busy_later(call: Call) -> None:
    await asyncio.sleep(3 * COMMENT_S)
    await busy(call)


async def page_later(call: Call) -> None:
    await asyncio.sleep(3 * COMMENT_S)
    await page(call)


async def write_events(call: Call) -> None:
    for word in ("Two ", "and ", "four."):
        await call.event(delta(word))
    await call.event(delta(None, "stop"))
    await call.event(usage_event())
    await call.end_stream()


async def misnamed_stream(call: Call) -> None:
    """Events under the wrong name, as some servers send them."""
    await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
    await write_events(call)


async def always_streams(call: Call) -> None:
    await call.begin_stream()
    await write_events(call)


async def never_streams(call: Call) -> None:
    await call.reply(200, completion("m"))


async def slow(call: Call) -> None:
    """Silent before the stream, and within it."""
    await asyncio.sleep(3 * COMMENT_S)
    await call.begin_stream()
    await call.event(delta("Two "))
    await asyncio.sleep(3 * COMMENT_S)
    await write_events(call)


async def fails_midway(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("Two "))
    await call.event({"error": {"message": "overloaded", "code": "busy"}})
    await call.end_stream()


async def no_usage(call: Call) -> None:
    if not call.body.get("stream"):
        await call.reply(200, completion("m", usage=None))
        return
    await call.begin_stream()
    await call.event(delta("Four."))
    await call.event(delta(None, "stop"))
    await call.end_stream()


async def half_emoji(call: Call) -> None:
    whole = json.dumps(completion("m", text="an @HALF of @PAIR and \\ud83d")).replace("@HALF", "\\ud83d")
    await call.reply(200, whole.replace("@PAIR", "\\ud83d\\ude00").encode())


async def odd_delay(call: Call) -> None:
    await call.reply(429, b"{}", "retry-after: \u00ff 1\r\n")


async def dies_midway(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("Two "))
    await asyncio.sleep(0.05)
    call.writer.transport.abort()


SCRIPTS = {
    "page": page, "error200": error_with_200, "busy": busy, "busylater": busy_later, "pagelater": page_later,
    "misnamed": misnamed_stream, "always": always_streams, "never": never_streams, "slow": slow,
    "fails": fails_midway, "dies": dies_midway, "nousage": no_usage, "half": half_emoji, "odddelay": odd_delay,
}  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with ScriptedProvider(SCRIPTS) as provider:
        home = tmp_path_factory.mktemp("home")
        running = start_before(provider, home, f"[gateway]\ncomment_s = {COMMENT_S}\n")
        yield running
        assert running.stop() == 0
        assert "Traceback" not in (home / "log").read_text()


def message_of(reply, dialect: str) -> str:
    """The error's text, from where the dialect's SDK takes it."""
    said = reply.json()
    assert (said["type"] == "error") if dialect == "anthropic" else ("type" not in said)
    return said["error"]["message"]


def events_of(text: str) -> list[dict]:
    found = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(data) for data in found if data != "[DONE]"]


def answer_in(reply, dialect: str):
    decoder = DIALECTS[dialect].stream_decoder(event_bytes_max=1 << 20)
    return fold([*decoder.feed(reply.content), *decoder.finish()])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("provider", "dialect"), list(itertools.product(SPOKEN, CALLERS)))
def test_a_page_of_html_is_no_answer(gateway: Gateway, provider: str, dialect: str, stream: bool) -> None:
    """Only who asked in the provider's own dialect, for no stream, gets to see it; the others would see no text."""
    reply = post(gateway, dialect, f"{provider}+page", stream=stream)
    if SPOKEN[provider][0] == dialect and not stream:
        assert reply.text.startswith("<html>")
        return
    assert reply.status_code == 502
    assert "no answer in" in message_of(reply, dialect)
    row = gateway.row(f"{provider}+page")
    assert (row.status_code, row.error_type, row.cost_basis) == (502, "upstream_error", "unknown")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("provider", "dialect"), list(itertools.product(SPOKEN, CALLERS)))
def test_an_error_with_status_200_is_an_error(gateway: Gateway, provider: str, dialect: str, stream: bool) -> None:
    """In the caller's dialect, in the provider's words."""
    reply = post(gateway, dialect, f"{provider}+error200", stream=stream)
    is_same = SPOKEN[provider][0] == dialect and not stream
    assert reply.status_code == (200 if is_same else 502)
    assert "quota used up" in message_of(reply, dialect)
    assert gateway.row(f"{provider}+error200").error_type == "upstream_error"


@pytest.mark.parametrize(("provider", "dialect"), list(itertools.product(SPOKEN, CALLERS)))
def test_a_refusal_keeps_status_words_and_delay(gateway: Gateway, provider: str, dialect: str) -> None:
    reply = post(gateway, dialect, f"{provider}+busy", stream=True)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
    assert message_of(reply, dialect) == "too fast"
    row = gateway.row(f"{provider}+busy")
    assert (row.status_code, row.cost_basis, row.cost_nano_usd) == (429, "metered", 0)


@pytest.mark.parametrize("dialect", CALLERS)
@pytest.mark.parametrize("script", ["busylater", "pagelater"])
def test_a_refusal_after_a_comment_is_told_inside_the_stream(gateway: Gateway, dialect: str, script: str) -> None:
    """The 200 has gone out with the comment, and the row says so; the provider's words still reach the caller."""
    reply = post(gateway, dialect, f"chat+{script}", stream=True)
    assert reply.status_code == 200
    failure = answer_in(reply, dialect).failure
    assert failure is not None
    assert ("too fast" if script == "busylater" else "no answer in") in failure.message
    assert "<html>" not in reply.text
    row = gateway.row(f"chat+{script}")
    expected = "upstream_refusal" if script == "busylater" else "upstream_error"
    assert (row.status_code, row.error_type) == (200, expected)


@pytest.mark.parametrize("dialect", CALLERS)
def test_signs_of_life_break_no_reader(gateway: Gateway, dialect: str) -> None:
    """Comments before and within a stream; for Google's SDKs, which take a comment for an error, empty events."""
    reply = post(gateway, dialect, "chat+slow", stream=True)
    assert answer_in(reply, dialect).stop is not None
    if dialect == "gemini":
        assert reply.text.startswith("\n\n")
        assert all(not line or line.startswith("data: ") for line in reply.text.splitlines())
    else:
        assert reply.text.startswith(": ")
        assert "\n\n: " in reply.text
    assert gateway.row("chat+slow").cost_basis == "metered"


@pytest.mark.parametrize("dialect", CALLERS)
def test_a_stream_by_another_name_is_a_stream(gateway: Gateway, dialect: str) -> None:
    reply = post(gateway, dialect, "chat+misnamed", stream=True)
    answer = answer_in(reply, dialect)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert ("".join(block.text for block in answer.blocks), answer.stop.reason) == ("Two and four.", "stop")
    assert gateway.row("chat+misnamed").usage_input_tokens == USAGE["prompt_tokens"]


@pytest.mark.parametrize("dialect", CALLERS)
def test_a_stream_nobody_asked_for_becomes_a_reply(gateway: Gateway, dialect: str) -> None:
    reply = post(gateway, dialect, "chat+always")
    answer = fold(DIALECTS[dialect].decode_reply(reply.content))
    assert "".join(block.text for block in answer.blocks) == "Two and four."
    row = gateway.row("chat+always")
    assert (row.usage_output_tokens, row.cost_basis, row.finish_reason) == (5, "metered", "stop")


@pytest.mark.parametrize("dialect", CALLERS)
def test_a_reply_in_place_of_a_stream_becomes_one(gateway: Gateway, dialect: str) -> None:
    answer = answer_in(post(gateway, dialect, "chat+never", stream=True), dialect)
    assert ("".join(block.text for block in answer.blocks), answer.stop.reason) == ("Four.", "stop")
    assert gateway.row("chat+never").usage_output_tokens == 5


@pytest.mark.parametrize("provider", ["chat", "claude", "gem"])
@pytest.mark.parametrize("stream", [False, True])
def test_errors_under_api_v1_are_openrouters(gateway: Gateway, provider: str, stream: bool) -> None:
    """Also where the provider's own body could have passed: its `code` is a word there, or nothing."""
    error = post(gateway, "openai-chat", f"{provider}+busy", stream=stream, root="/api").json()["error"]
    assert (error["code"], error["message"]) == (429, "too fast")
    assert error["metadata"]["error_type"] == "rate_limit_exceeded"


@pytest.mark.parametrize("script", ["fails", "dies", "busylater", "pagelater"])
def test_errors_within_streams_under_api_v1_are_openrouters(gateway: Gateway, script: str) -> None:
    """A chunk whose `error.code` is a number and whose choice ends with `error`, whoever failed."""
    reply = post(gateway, "openai-chat", f"chat+{script}", stream=True, root="/api")
    chunk = events_of(reply.text)[-1]
    assert faults("openrouter", "/components/schemas/ChatStreamChunk", chunk) == []
    assert chunk["choices"][0]["finish_reason"] == "error"
    assert chunk["error"]["code"] == (429 if script == "busylater" else 502)
    if script == "fails":
        assert (chunk["error"]["message"], chunk["error"]["metadata"]["provider_code"]) == ("overloaded", "busy")


@pytest.mark.parametrize("dialect", CALLERS[:3])
@pytest.mark.parametrize("script", ["fails", "dies", "busylater"])
def test_errors_within_streams_are_read_in_every_dialect(gateway: Gateway, dialect: str, script: str) -> None:
    """Once, and nothing that looks like an end of the answer after it."""
    reply = post(gateway, dialect, f"chat+{script}", stream=True)
    answer = answer_in(reply, dialect)
    assert answer.failure is not None
    assert answer.stop is None or answer.stop.reason == "error"
    assert reply.text.count('"error":{') <= (1 if dialect != "openai-responses" else 2)


@pytest.mark.parametrize("stream", [False, True])
def test_usage_that_was_counted_here_is_told_under_api_v1(gateway: Gateway, stream: bool) -> None:
    """Every reply there says what it cost, in the row's own figures."""
    reply = post(gateway, "openai-chat", "chat+nousage", stream=stream, root="/api")
    usage = events_of(reply.text)[-1]["usage"] if stream else reply.json()["usage"]
    row = gateway.row("chat+nousage")
    assert row.cost_basis == "estimated_partial"
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (row.usage_input_tokens, row.usage_output_tokens)
    assert round(usage["cost"] * 1e9) == row.cost_nano_usd > 0
    if stream:
        assert reply.text.endswith("data: [DONE]\n\n")
    plain = post(gateway, "openai-chat", "chat+nousage", stream=stream)
    assert '"usage"' not in plain.text


@pytest.mark.parametrize("dialect", CALLERS)
def test_half_an_emoji_makes_no_call_free_and_no_answer_unreadable(gateway: Gateway, dialect: str) -> None:
    """Servers that cut text by UTF-16 send `\\ud83d` alone; the text after it, and the usage, still count."""
    reply = post(gateway, dialect, "chat+half")
    answer = fold(DIALECTS[dialect].decode_reply(reply.content))
    assert answer.blocks[0].text == "an \ufffd of \U0001f600 and \\ud83d"
    assert gateway.row("chat+half").cost_basis == "metered"


def test_a_delay_that_is_no_text_is_left_out(gateway: Gateway) -> None:
    """Clients parse this header; what is not ASCII can be neither seconds nor a date."""
    reply = post(gateway, "openai-chat", "chat+odddelay")
    assert (reply.status_code, "retry-after" in reply.headers) == (429, False)


def test_anthropics_clients_find_the_request_id(gateway: Gateway) -> None:
    """Their SDKs look for it under a name of their own."""
    reply = post(gateway, "anthropic", "chat+never")
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    assert "request-id" not in post(gateway, "openai-chat", "chat+never").headers


def test_a_method_of_geminis_that_is_not_served_is_not_found(gateway: Gateway) -> None:
    """In Google's shape; it is no wrong method of a page of ours."""
    path = "/v1beta/models/chat+never:embedContent"
    reply = httpx.post(gateway.url + path, json={}, headers=gateway.headers)
    assert (reply.status_code, reply.json()["error"]["status"]) == (404, "NOT_FOUND")
