"""What the user wrote in a request body, in any dialect: the texts of the user's turns, and nothing else.

System prompts, the model's own turns, tools, their results and media are left out. Bodies are read leniently, by the
shapes that the dialects share: a label is no reason to refuse what a provider may accept.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tidegate.labels.prose import TEXT_CHARS_MAX, clipped, unwrapped

_TURN_LISTS: Final = ("messages", "contents", "input")  # chat and Anthropic, Gemini, Responses
_USER: Final = frozenset(("user", "human"))
_TEXT_PARTS: Final = frozenset(("text", "input_text", ""))  # "" where parts have no type (Gemini)

_decode = msgspec.json.Decoder().decode


def user_text(body: bytes) -> str | None:
    """The user's turns joined by newlines, in order, cut in the middle to TEXT_CHARS_MAX; None for no JSON object.

    Empty where the user wrote nothing (only images, or only tool results).
    """
    request = _request(body)
    if not isinstance(request, dict):
        return None
    texts = [unwrapped(text).strip() for text in _texts(request)]
    return clipped("\n".join(filter(None, texts)), TEXT_CHARS_MAX)


def _request(body: bytes) -> Any:
    """A body as JSON; None where it is none. Half an emoji, cut off by a client, costs that character alone."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _whole(json.loads(body))
    except (ValueError, RecursionError):
        return None


def _whole(value: Any) -> Any:
    """The same value without halves of surrogate pairs, which no encoder takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return value


def _texts(request: dict[str, Any]) -> Iterator[str]:
    for name in _TURN_LISTS:
        turns = request.get(name)
        if isinstance(turns, str):
            yield turns  # Responses take a bare text
        elif isinstance(turns, list):
            for turn in turns:
                yield from _of_turn(turn)
    prompt = request.get("prompt")  # completions
    if isinstance(prompt, str):
        yield prompt
    elif isinstance(prompt, list):
        yield from (text for text in prompt if isinstance(text, str))


def _of_turn(turn: Any) -> Iterator[str]:
    if not isinstance(turn, dict) or turn.get("role", "user") not in _USER or turn.get("type", "message") != "message":
        return
    content = turn.get("content", turn.get("parts"))
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                yield part
            elif isinstance(part, dict) and part.get("type", "") in _TEXT_PARTS and isinstance(part.get("text"), str):
                yield part["text"]
