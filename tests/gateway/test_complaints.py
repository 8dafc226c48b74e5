"""The loudest complaints about other gateways, each a test by its number; evidence stands beside each as repo#issue.

Real sockets where the gateway decides; where a dialect alone does, the test that holds it is named and must exist.
"""

import ast
import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, start_gateway
from rig.server import ThreadedServer
from rig.workers import Workers, acme_quota, call_at_once, held, make_tenant
from tidegate import config
from tidegate.core.row import Row

TESTS = Path(__file__).resolve().parent.parent
RATES = 'price = { input = "2", output = "10", cache_read = "0.5", cache_creation = "2.5" }'
INPUT, OUTPUT, READ, WRITTEN = 2000, 10_000, 500, 2500  # nano-USD for each token of RATES
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "anthropic": "/v1/messages"}
DIALECTS = {"chat": "openai-chat", "responses": "openai-responses", "anthropic": "anthropic", "gemini": "gemini"}


def held_by(file: str, *names: str) -> None:
    """A complaint that other tests hold: they must be there under these names."""
    tree = ast.parse((TESTS / file).read_text())
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert set(names) <= found, f"{file} lost {sorted(set(names) - found)}"


# -- a provider of every dialect ---------------------------------------------------------------------------------------


def chat(usage: dict[str, Any], **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "Four."} | message
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def chat_events(usage: dict[str, Any] | None, *deltas: dict[str, Any], finish: str = "stop") -> list[Any]:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    parts = [*({"delta": delta, "finish_reason": None} for delta in deltas), {"delta": {}, "finish_reason": finish}]
    events: list[Any] = [chunk | {"choices": [{"index": 0, **part}]} for part in parts]
    return [*events, *([chunk | {"choices": [], "usage": usage}] if usage else []), "[DONE]"]


def messages_events(first: dict[str, Any], last: dict[str, Any]) -> list[Any]:
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": first}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Four."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last},
        {"type": "message_stop"},
    ]


def gemini(usage: dict[str, Any]) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": "Four."}]}
    return {"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage}


def incomplete_events() -> list[Any]:
    response = {"id": "r", "object": "response", "model": "m", "status": "in_progress", "output": []}
    usage = {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17, "input_tokens_details": {"cached_tokens": 4}}
    ended = response | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "usage": usage}
    text = {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": "Fo"}
    events = [{"type": "response.created", "response": response}, text,
              {"type": "response.incomplete", "response": ended}]  # fmt: skip
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
COST = 8 * INPUT + 4 * READ + 5 * OUTPUT
GEMINI_CACHED = {"promptTokenCount": 1000, "cachedContentTokenCount": 900, "candidatesTokenCount": 10}
CLAUDE_CACHED = {"input_tokens": 100, "cache_read_input_tokens": 900, "output_tokens": 10}
CACHED_COST = 100 * INPUT + 900 * READ + 10 * OUTPUT
XAI_USAGE = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {
    "cached_tokens": 900, "image_tokens": 800, "text_tokens": 200, "audio_tokens": 0}}  # fmt: skip
WORDS = [{"content": f"word{n} "} for n in range(8)]

REPLIES: dict[str, tuple[str, Any]] = {  # model -> dialect of its provider, and what it answers: events, or a whole
    "gemini-cached": ("gemini", gemini(GEMINI_CACHED)),
    "gemini-thinks": ("gemini", gemini({"promptTokenCount": 5, "candidatesTokenCount": 10, "thoughtsTokenCount": 50})),
    "xai": ("chat", chat(XAI_USAGE)),
    "claude-cached": ("anthropic", messages_events({**CLAUDE_CACHED, "output_tokens": 1}, {"output_tokens": 10})),
    "claude-server-tool": ("anthropic", messages_events(
        {"input_tokens": 10, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
        {"input_tokens": 30, "output_tokens": 7, "cache_creation_input_tokens": 500, "cache_read_input_tokens": 400,
         "server_tool_use": {"web_search_requests": 1}})),
    "thinks": ("chat", chat({"prompt_tokens": 5, "completion_tokens": 60, "completion_tokens_details": {"reasoning_tokens": 50}})),  # noqa: E501
    "slow": ("chat", chat_events(USAGE, *WORDS)),
    "slow-whole": ("chat", chat(USAGE)),
    "fails": ("chat", 500),
    "refuses": ("chat", 429),
    "error-inside": ("chat", [*chat_events(None, {"content": "Fo"})[:1], {"error": {"message": "overloaded " * 2000}}, "[DONE]"]),  # noqa: E501
    "incomplete": ("responses", incomplete_events()),
    "reasons": ("chat", chat_events(USAGE, {"reasoning_content": "hm "}, {"reasoning_content": "so"}, {"content": "Four."})),  # noqa: E501
    "unpriced": ("chat", chat(USAGE)),
}  # fmt: skip


class Provider(ThreadedServer):
    """Answers by the model's name, in the dialect of `REPLIES`; notes the models that were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                model = body.get("model") or head.split(b"/models/")[1].split(b":")[0].decode()
                self.asked.append(model)
                await self.answer(model, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def answer(self, model: str, writer: asyncio.StreamWriter) -> None:
        reply = REPLIES[model][1]
        if isinstance(reply, list):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n")
            writer.write(b"x-provider-secret: a\r\nset-cookie: b=c\r\n\r\n")
            for event in reply:
                data = event if isinstance(event, str) else json.dumps(event)
                name = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
                piece = f"{name}data: {data}\n\n".encode()
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                await asyncio.sleep(0.05 if model == "slow" else 0)
            writer.write(b"0\r\n\r\n")
            return
        status = reply if isinstance(reply, int) else 200
        said = {"error": {"message": "a page of text " * 5000}} if isinstance(reply, int) else reply
        data = json.dumps(said).encode()
        await asyncio.sleep(0.3 if model == "slow-whole" else 0)
        writer.write(b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\nset-cookie: b=c\r\n" % status)
        writer.write(b"x-provider-secret: a\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data))
        await writer.drain()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    lines = []
    for name, dialect in DIALECTS.items():
        url = f"http://127.0.0.1:{provider.port}/{'v1beta' if name == 'gemini' else 'v1'}"
        lines += [f"[providers.{name}]", f'base_url = "{url}"', f'dialect = "{dialect}"']
    for model, (name, _) in REPLIES.items():
        lines += ["[[endpoints]]", f'provider = "{name}"', f'model = "{model}"']
        lines += [] if model == "unpriced" else [RATES]
    running = start_gateway(tmp_path_factory.mktemp("home"), "\n".join(lines))
    yield running
    assert running.stop() == 0
    assert "Traceback" not in (running.home / "log").read_text()


def ask(gateway: Gateway, model: str, caller: str = "chat", *, stream: bool = False) -> httpx.Response:
    question: dict[str, Any] = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 100}
    if caller == "responses":
        question = {"input": "a"}
    body = question | {"model": model, "stream": stream}
    return httpx.post(gateway.url + PATHS[caller], headers=gateway.headers, json=body, timeout=10)


def row_of(gateway: Gateway, model: str, caller: str = "chat", *, stream: bool = False) -> Row:
    assert ask(gateway, model, caller, stream=stream).status_code == 200
    return gateway.row(model)


def events_of(reply: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def leave(gateway: Gateway, model: str, *, stream: bool) -> Row:
    """Ask, hang up before the answer is whole, and wait for the row."""
    body = json.dumps({"model": model, "stream": stream, "messages": []}).encode()
    connection = gateway.connect()
    connection.sendall(f"{gateway.call_head}content-length: {len(body)}\r\n\r\n".encode() + body)
    time.sleep(0.12)
    connection.close()
    return gateway.row(model)


# -- the complaints ----------------------------------------------------------------------------------------------------


def test_1_cached_tokens_are_charged_once(gateway: Gateway) -> None:
    """BerriAI/litellm#14849: Gemini's cached tokens at the full rate and at the cache's."""
    row = row_of(gateway, "gemini-cached")
    assert (row.usage_input_tokens, row.usage_cache_read_input_tokens) == (1000, 900)
    assert (row.cost_nano_usd, row.cost_basis) == (CACHED_COST, "metered")


def test_2_tokens_that_are_cached_and_of_an_image_are_charged_once(gateway: Gateway) -> None:
    """BerriAI/litellm#37407: xAI's buckets overlap; summing them is 72 % above the bill."""
    row = row_of(gateway, "xai")
    assert (row.usage_input_tokens, row.cost_nano_usd) == (1000, CACHED_COST)


@pytest.mark.parametrize("caller", ["anthropic", "chat"])
def test_3_cache_reads_of_claude_have_their_discount(gateway: Gateway, caller: str) -> None:
    """BerriAI/litellm#11364: Anthropic leaves cached tokens out of its input; rows have them in."""
    row = row_of(gateway, "claude-cached", caller, stream=True)
    assert (row.usage_input_tokens, row.usage_cache_read_input_tokens, row.cost_nano_usd) == (1000, 900, CACHED_COST)


@pytest.mark.parametrize("caller", ["anthropic", "chat"])
def test_4_cache_writes_that_only_the_last_event_tells_are_charged(gateway: Gateway, caller: str) -> None:
    """BerriAI/litellm#42663: server tools write to the cache while the answer streams; 20 to 60 % were missed."""
    row = row_of(gateway, "claude-server-tool", caller, stream=True)
    assert (row.usage_input_tokens, row.usage_cache_creation_input_tokens) == (930, 500)
    assert row.cost_nano_usd == 30 * INPUT + 400 * READ + 500 * WRITTEN + 7 * OUTPUT


@pytest.mark.parametrize(("model", "output"), [("thinks", 60), ("gemini-thinks", 60)])
def test_5_thought_and_answer_are_both_charged(gateway: Gateway, model: str, output: int) -> None:
    """BerriAI/litellm#18599: OpenAI counts thoughts within the output, Gemini beside it."""
    row = row_of(gateway, model)
    assert (row.usage_output_tokens, row.usage_reasoning_output_tokens) == (output, 50)
    assert row.cost_nano_usd == 5 * INPUT + output * OUTPUT


def test_6_leaving_a_stream_does_not_make_it_free(gateway: Gateway) -> None:
    """BerriAI/litellm#14457, #30630, #33736, #36008, #37558, maximhq/bifrost#6972: no row, or one token."""
    row = leave(gateway, "slow", stream=True)
    assert (row.is_cancelled, row.cost_basis, row.cost_nano_usd) == (True, "metered", COST)


def test_7_leaving_a_whole_reply_does_not_make_it_free(gateway: Gateway) -> None:
    """QuantumNous/new-api#4463, #7062, #5235, #4344: the provider's book has the call, the gateway's has not."""
    row = leave(gateway, "slow-whole", stream=False)
    assert (row.is_cancelled, row.cost_basis, row.cost_nano_usd) == (True, "metered", COST)


@pytest.mark.parametrize("model", ["fails", "refuses"])
def test_8_the_text_of_an_error_is_not_output(gateway: Gateway, model: str) -> None:
    """QuantumNous/new-api#5288 to #5290: a local count took an error's page for an answer."""
    assert ask(gateway, model).status_code in (429, 502)
    row = gateway.row(model)
    assert (row.cost_nano_usd, row.upstream_cost_nano_usd, row.usage_output_tokens) == (0, 0, 0)


def test_8_the_text_of_an_error_inside_a_stream_is_not_output(gateway: Gateway) -> None:
    """What came of the answer before it is counted, 20 kB of error are not."""
    row = row_of(gateway, "error-inside", stream=True)
    assert row.error_type == "upstream_error"
    assert row.usage_output_tokens is not None and row.usage_output_tokens <= 2


@pytest.mark.parametrize("caller", ["responses", "chat", "anthropic"])
def test_9_an_incomplete_answer_is_charged(gateway: Gateway, caller: str) -> None:
    """QuantumNous/new-api#7241: `response.incomplete` ended a stream, and its usage was thrown away."""
    row = row_of(gateway, "incomplete", caller, stream=True)
    assert (row.cost_basis, row.cost_nano_usd, row.finish_reason) == ("metered", COST, "length")


def test_13_a_model_without_a_price_is_not_called(gateway: Gateway, provider: Provider) -> None:
    """BerriAI/litellm#24770, #24949, #30715, #36561, #37110: unknown models at $0, and no budget ever trips."""
    reply = ask(gateway, "unpriced")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "price_unknown")
    assert "unpriced" not in provider.asked


def test_19_tool_calls_survive_translation() -> None:
    """BerriAI/litellm#25321, maximhq/bifrost#3441: `input: {}`, arguments only on `.done`, overlapping blocks."""
    held_by(
        "wire/test_hard_cases.py",
        "test_arguments_that_come_only_with_done_arrive_once",
        "test_interleaved_parallel_calls_do_not_mix",
        "test_empty_arguments_are_an_empty_object",
    )
    held_by("gateway/test_dialects.py", "test_an_answer_means_the_same_in_every_dialect")


def test_20_a_message_starts_once_and_thoughts_are_blocks(gateway: Gateway) -> None:
    """BerriAI/litellm#32357: a second `message_start`, and the SDK shows nothing."""
    events = events_of(ask(gateway, "reasons", "anthropic", stream=True))
    kinds = [event["type"] for event in events]
    assert (kinds.count("message_start"), kinds[0], kinds[-1]) == (1, "message_start", "message_stop")
    blocks = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert blocks == ["thinking", "text"]
    thought = "".join(e["delta"]["thinking"] for e in events if e.get("delta", {}).get("type") == "thinking_delta")
    assert thought == "hm so"


@pytest.mark.parametrize("stream", [True, False])
def test_21_usage_is_not_zero_in_another_dialect(gateway: Gateway, stream: bool) -> None:
    """envoyproxy/ai-gateway#2352, mozilla-ai/otari#256: Anthropic's clients saw 0 input tokens, the meter too."""
    reply = ask(gateway, "reasons" if stream else "xai", "anthropic", stream=stream)
    usage = events_of(reply)[-2]["usage"] if stream else reply.json()["usage"]
    expected = (8, 4, 5) if stream else (100, 900, 10)
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == expected
    assert gateway.row("reasons" if stream else "xai").cost_nano_usd == (COST if stream else CACHED_COST)


def test_22_no_guardrail_is_skipped_because_there_is_none() -> None:
    """BerriAI/litellm#35257, #15718, #38721: whoever adds one replaces this by a stream that it stops."""
    settings = [field for section in config.SECTIONS.values() for field in section.__struct_fields__]
    assert not [field for field in settings if "guard" in field]


def test_23_a_failure_is_asked_once_and_told(gateway: Gateway, provider: Provider) -> None:
    """maximhq/bifrost#6966, #6967, #6973, BerriAI/litellm#26067: the primary hit again, errors inside a stream."""
    for model, stream in (("fails", False), ("error-inside", True)):
        before = provider.asked.count(model)
        reply = ask(gateway, model, stream=stream)
        assert "error" in reply.text
        assert provider.asked.count(model) == before + 1
        assert len(gateway.attempts(model)) == 1


@pytest.mark.parametrize(("model", "stream"), [("slow", True), ("xai", False), ("refuses", False)])
def test_23_a_providers_headers_do_not_leak(gateway: Gateway, model: str, stream: bool) -> None:
    """OrcaRouter-Lite#115: the reply of one provider with the headers of another."""
    reply = ask(gateway, model, stream=stream)
    assert not {"x-provider-secret", "set-cookie"} & set(reply.headers)


# -- budgets: tests/rig/workers.py has the tenant and its workers ------------------------------------------------------

CENT = 10_000_000  # nano-USD
PENNY_USAGE = {"prompt_tokens": 0, "completion_tokens": 1000}  # one cent at RATES


class Penny(Provider):
    """Answers each call after a moment, for one cent."""

    async def answer(self, model: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        data = json.dumps(chat(PENNY_USAGE)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data))
        writer.write(data)
        await writer.drain()


@pytest.fixture(scope="module")
def penny_config() -> Iterator[str]:
    with Penny() as running:
        lines = ["[gateway]", "providers_from_environment = false", "[accounts]", "quota_wait_s = 3"]
        lines.append(f'[providers.mock]\nbase_url = "http://127.0.0.1:{running.port}/v1"')
        lines.append(f'[[endpoints]]\nprovider = "mock"\nmodel = "acme/m"\n{RATES}')
        lines.append('[[endpoints]]\nprovider = "mock"\nmodel = "acme/free"\nprice = { input = "0", output = "0" }')
        lines.append('[[endpoints]]\nprovider = "mock"\nmodel = "acme/unpriced"')
        yield "\n".join(lines) + "\n"


def charged(gateway: Gateway) -> int:
    return sum(outcome.row.cost_nano_usd or 0 for outcome in gateway.outcomes())


def test_10_concurrent_calls_do_not_all_pass_one_remaining_dollar(tmp_path: Path, penny_config: str) -> None:
    """BerriAI/litellm#26672, #34732: N calls at once each saw the dollar that was there for one of them."""
    key = make_tenant(tmp_path, [acme_quota("nano_usd", 20 * CENT, is_wallet=True)])
    with Workers(tmp_path, penny_config, key, 1) as gateway:
        seen = call_at_once(gateway, 40, model="acme/m", max_tokens=1000)
        assert seen[200] >= 19 and seen[402] == 40 - seen[200]
        assert 19 * CENT <= charged(gateway) <= 20 * CENT


def test_10_an_end_user_seen_first_has_the_default_budget(tmp_path: Path, penny_config: str) -> None:
    """BerriAI/litellm#40095: whom nobody had set up yet was nobody's to limit. `*` is each one, known or not."""
    each = acme_quota("nano_usd", 2 * CENT + CENT // 10, "day", scope="user", subject="*")
    key = make_tenant(tmp_path, [each])
    with Workers(tmp_path, penny_config, key, 1) as gateway:
        assert call_at_once(gateway, 5, model="acme/m", max_tokens=1000, user="new") == {200: 2, 402: 3}
        assert call_at_once(gateway, 1, model="acme/m", max_tokens=1000, user="other") == {200: 1}
        assert call_at_once(gateway, 1, model="acme/m", max_tokens=1000) == {200: 1}, "a call of nobody's is not theirs"


@pytest.mark.parametrize("limit", [{"max_tokens": 1000}, {}], ids=["max_tokens", "no-limit"])
def test_11_a_balance_never_goes_below_zero(tmp_path: Path, penny_config: str, limit: dict[str, int]) -> None:
    """songquanpeng/one-api#505, Wei-Shaw/sub2api#2011, QuantumNous/new-api#4526: charged after the call, at any price.

    A hundred calls at once against one dollar in four processes: no more than the dollar, and nearly all of it.
    """
    key = make_tenant(tmp_path, [acme_quota("nano_usd", 100 * CENT, is_wallet=True)])
    workers = Workers(tmp_path, penny_config, key, 4)
    with workers as gateway:
        seen = call_at_once(gateway, 120, model="acme/m", **limit)
        workers.stop()
        assert set(seen) <= {200, 402}
        assert 95 * CENT <= charged(gateway) <= 100 * CENT, seen
        assert held(tmp_path) == charged(gateway)


def test_13_a_spent_budget_lets_no_unknown_model_through(tmp_path: Path, penny_config: str) -> None:
    """BerriAI/litellm#24770, #30715: a model nobody knew the price of was free, so that no budget ever tripped."""
    key = make_tenant(tmp_path, [acme_quota("nano_usd", 100 * CENT, is_wallet=True)])
    with Workers(tmp_path, penny_config, key, 1) as gateway:
        assert call_at_once(gateway, 3, model="acme/unpriced") == {404: 3}
        assert call_at_once(gateway, 3, model="acme/nobody-knows") == {404: 3}
        assert charged(gateway) == 0


def test_14_a_free_model_goes_on_when_the_budget_is_spent(tmp_path: Path, penny_config: str) -> None:
    """BerriAI/litellm#14004, #29912: models at home stopped when the cloud's budget was spent."""
    spent = [
        acme_quota("nano_usd", 0, is_wallet=True),
        acme_quota("nano_usd", 0, "day", quota_id="q2", scope="key", subject="*"),
    ]
    key = make_tenant(tmp_path, spent)
    with Workers(tmp_path, penny_config, key, 1) as gateway:
        assert call_at_once(gateway, 2, model="acme/m") == {402: 2}
        assert call_at_once(gateway, 3, model="acme/free") == {200: 3}


def test_18_limits_do_not_multiply_by_replicas(tmp_path: Path, penny_config: str) -> None:
    """BerriAI/litellm#27736, #40291, envoyproxy/ai-gateway#1754: each replica counted for itself."""
    key = make_tenant(
        tmp_path, [acme_quota("requests", 30, "hour"), acme_quota("tokens", 10**6, "hour", quota_id="q2")]
    )
    workers = Workers(tmp_path, penny_config, key, 4)
    with workers as gateway:
        while time.time() % 3600 > 3590:
            time.sleep(0.5)
        seen = call_at_once(gateway, 60, model="acme/m", max_tokens=1000)
        workers.stop()
        assert seen == {200: 30, 429: 30}
        assert (held(tmp_path), held(tmp_path, "q2")) == (30, 30 * 1000)


# -- routing: `gateway/test_routing.py` has the providers --------------------------------------------------------------


def test_23_a_fallback_asks_another_and_leaks_nothing() -> None:
    """bifrost#6966, #6967, #6973, litellm#26067: the failed one is not asked again, nothing of it reaches the caller,
    and an error inside a 200 is a failure too."""
    held_by(
        "gateway/test_routing.py",
        "test_a_failed_endpoint_is_followed_by_the_next_of_the_plan",
        "test_nothing_of_the_failed_provider_reaches_the_caller",
        "test_after_the_first_words_a_call_stays_where_it_is",
    )


def test_24_a_conversation_stays_where_its_prompt_is_cached() -> None:
    """agentgateway#2572, recompose#45, gproxy#161: balancing must not throw the cache discount away."""
    held_by("gateway/test_routing.py", "test_a_session_stays_with_one_endpoint")
    held_by(
        "route/test_route_affinity.py",
        "test_a_call_goes_where_its_prompt_is_cached_while_that_is_cheaper",
        "test_a_real_hour_of_conversations_keeps_its_cache_and_its_balance",
    )


def test_25_a_fallback_does_not_cross_the_border() -> None:
    """vercel/ai#10157, talon#138, cline#10596, opencode#41810: residency is policy, and the price is pinned too."""
    held_by(
        "gateway/test_routing.py",
        "test_a_policys_border_holds_whatever_fails",
        "test_a_mainland_only_policy_with_its_provider_killed_refuses_and_says_why",
        "test_only_ignore_and_price_choose_as_asked",
    )
    held_by("route/test_residency.py", "test_no_plan_and_no_attempt_crosses_a_border_in_a_hundred_thousand_calls")
