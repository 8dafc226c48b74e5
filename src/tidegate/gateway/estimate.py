"""Tokens counted here, for a provider that reported none: what was asked and what of the answer came through.

Counted by the tokenizer of OpenAI's models (`toktok-rs`, loaded at the first need) whatever the model: close for most,
exact for none, and the row says `estimated_partial`. Images, audio and files are not counted, nor is the text of an
error. Without the package, four bytes are a token. Text beyond TEXT_CHARS_MAX is taken to be like the text before it,
so that an estimate never holds up the loop for more than some milliseconds.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tidegate.core.usage import Usage
from tidegate.wire.dialect import Seen

TEXT_CHARS_MAX: Final = 128 * 1024  # tokenized; about 4 ms
BYTES_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 3  # what OpenAI's chat format adds to each message, and once to the whole
DEPTH_MAX: Final = 32

ENCODINGS: Final = (  # the first whose pattern is in the model's name
    (re.compile(r"gpt-oss"), "o200k_harmony"),
    (re.compile(r"gpt-3\.5|gpt-4(?!o|\.|-o)|text-embedding"), "cl100k_base"),
    (re.compile(r"qwen"), "qwen3.5"),
)
ENCODING_ELSE: Final = "o200k_base"

_TEXT_KEYS: Final = frozenset(
    (
        *("text", "content", "input", "prompt", "instructions", "system", "arguments", "thinking", "output", "query"),
        *("name", "description", "reasoning", "reasoning_content"),
    )
)
_LIST_KEYS: Final = ("messages", "input", "contents")


def estimate_usage(prompt: bytes | int, output: str | int, model: str) -> Usage:
    """What a call came to, as near as can be counted here.

    prompt: the request's body, or its length in bytes where it is gone. output: the text that came, thoughts and
    arguments of tools included, or its length in bytes (`Seen.output_text_bytes`).
    """
    encoding = next((name for pattern, name in ENCODINGS if pattern.search(model.lower())), ENCODING_ELSE)
    if isinstance(prompt, int):
        entered = -(-prompt // BYTES_PER_TOKEN)
    else:
        texts, messages = prompt_texts(prompt)
        entered = count_tokens("\n".join(texts), encoding) + TOKENS_PER_MESSAGE * (messages + 1)
    left = -(-output // BYTES_PER_TOKEN) if isinstance(output, int) else count_tokens(output, encoding)
    return Usage(input_tokens=entered, output_tokens=left)


def estimate_of(seen: Seen | None, prompt: bytes | int, output: str | int, model: str) -> Usage | None:
    """The estimate of a call whose provider reported no usage; None where there is nothing to estimate.

    An error in place of an answer, or no answer at all, is no work that anybody could count.
    """
    if seen is None or seen.usage is not None:
        return None
    spoken = output if isinstance(output, int) else len(output)
    if not spoken and (seen.has_error or (not seen.is_done and seen.finish_reason is None)):
        return None
    return estimate_usage(prompt, output, model)


def count_tokens(text: str, encoding: str = ENCODING_ELSE) -> int:
    """Tokens of a text; of one beyond TEXT_CHARS_MAX, from its beginning."""
    if not text:
        return 0
    shown = text[:TEXT_CHARS_MAX]
    found = _count(shown, encoding)
    return found if len(shown) == len(text) else -(-found * len(text) // len(shown))


def _count(text: str, encoding: str) -> int:
    try:
        from toktok import batch_count
    except ImportError:  # the extra `serve` is not installed whole
        return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)
    counted: int = batch_count([text.encode(errors="replace").decode()], encoding, threads=1)[0]
    return counted


def prompt_texts(body: bytes) -> tuple[list[str], int]:
    """The texts of a request in any dialect, and its number of messages. Base64 data and links are no text."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [body.decode(errors="replace")], 1
    if not isinstance(request, dict):
        return [], 0
    lists = [request[key] for key in _LIST_KEYS if isinstance(request.get(key), list)]
    return list(_texts(request, 0)), max((len(found) for found in lists), default=1)


def _texts(value: Any, depth: int) -> Iterator[str]:
    """Strings that stand for words of the prompt: under the keys that dialects keep text in."""
    if depth > DEPTH_MAX:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str):
                if key in _TEXT_KEYS and not inner.startswith("data:"):
                    yield inner
            elif key == "parameters" or key.endswith("schema"):
                yield msgspec.json.encode(inner).decode()  # a tool's schema is read by the model as text
            else:
                yield from _texts(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner, depth + 1)
