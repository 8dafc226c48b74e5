"""The request and reply bodies: real chat-completion JSON of an exact size, the same bytes in every run."""

import json
import random

MODEL = "gpt-4o-mini"
SEED = 20260801
WORDS = (
    *("tide", "gate", "meter", "ledger", "call", "token", "price", "model", "provider", "stream", "usage", "window"),
    *("moon", "harbour", "lock", "water", "level", "rise", "fall", "channel", "boat", "rope", "signal", "lamp"),
    *("keeper", "north", "south", "river", "basin", "salt", "wind", "stone", "wall"),
)

REPLY = (
    b'{"id":"chatcmpl-bench0001","object":"chat.completion","created":1767225600,"model":"gpt-4o-mini",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"The tide turns twice a day."},"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":8,"total_tokens":208,'
    b'"prompt_tokens_details":{"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":0}}}'
)


def request_body(size_bytes: int) -> bytes:
    """A chat request of exactly `size_bytes`: turns of about 1.5 kB with line breaks and quotes, as agents send them.

    size_bytes: at least 256. Small bodies are one user turn.
    """
    random_words = random.Random(SEED)
    turns: list[dict[str, str]] = [{"role": "system", "content": "You keep the tide gate. Answer in one line."}]
    head = {"model": MODEL, "messages": turns, "max_tokens": 64, "temperature": 0.2}
    while len(_dump(head)) < size_bytes - 4096:
        turns.append({"role": ("user", "assistant")[len(turns) % 2], "content": _turn(random_words)})
    turns.append({"role": "user", "content": ""})
    turns[-1]["content"] = _plain(random_words, size_bytes - len(_dump(head)))
    body = _dump(head)
    if len(body) != size_bytes:
        raise ValueError(f"a request of {size_bytes} bytes cannot be made; the smallest is {len(body)}")
    return body


def stream_body(events: int) -> bytes:
    """A streaming request; `max_tokens` tells the benchmark's provider how many content events to send."""
    return _dump(
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": "When does the tide turn?"}],
            "max_tokens": events,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _turn(random_words: random.Random) -> str:
    lines = [" ".join(random_words.choices(WORDS, k=12)) for _ in range(20)]
    lines[5] = f'def {random_words.choice(WORDS)}(x):\n    return "{random_words.choice(WORDS)}"'
    return "\n".join(lines)


def _plain(random_words: random.Random, length: int) -> str:
    text = ""
    while len(text) < length:
        text += random_words.choice(WORDS) + " "
    return text[: max(length, 0)]
