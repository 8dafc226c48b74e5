"""How the mock misbehaves, by the words in a model's name (`acme+slow+half`).

e429, e500, e529...  this status, in the dialect's form of an error
cut        the connection is reset after the third event
half       it is reset in the middle of an event
fails      an error event after the third event, with status 200
garbage    the third event is not JSON
silent     after the third event nothing comes any more
slow       50 ms before every event
tiny       three bytes a write
joined     all events in one write
crlf       events end with CR LF
comments   comment lines and pings between events
wrong      content-type text/html and a page of HTML, as a proxy in the way would send it
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from conformance.mock.shapes import Stream

AFTER = 3  # events before a fault
DIALECTS = ("openai", "anthropic", "gemini")

PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
         413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 504: "timeout_error",
         529: "overloaded_error"}  # fmt: skip
STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
            429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}  # fmt: skip


def asked_status(said: frozenset[str]) -> int | None:
    for word in said:
        if re.fullmatch(r"e[45]\d\d", word):
            return int(word[1:])
    return None


def error_body(dialect: str, status: int, message: str, where: str = "") -> dict[str, Any]:
    """An error as the provider of a dialect words it."""
    if dialect == "anthropic":
        error = {"type": TYPES.get(status, "api_error"), "message": message}
        return {"type": "error", "error": error, "request_id": "req_mock"}
    if dialect == "gemini":
        return {"error": {"code": status, "message": message, "status": STATUSES.get(status, "UNKNOWN")}}
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": where or None, "code": None}}


def error_event(path: str, dialect: str) -> tuple[str, Any]:
    """An error after 200, as each stream has it."""
    if dialect == "anthropic":
        return "error", error_body(dialect, 529, "Overloaded")
    if path.endswith("/responses"):
        event = {"type": "error", "code": "server_error", "message": "The mock failed.", "param": None}
        return "error", event | {"sequence_number": AFTER}
    return "", error_body(dialect, 503, "The mock failed.")


class Cut(Exception):
    """The connection is to be reset here."""


async def written(stream: Stream, said: frozenset[str], path: str, dialect: str) -> AsyncIterator[bytes]:
    """The bytes of a stream, write by write, faults included. Raises Cut where the connection breaks."""
    encoded = [frame(name, data, i, stream, said) for i, (name, data) in enumerate(stream.events)]
    if stream.done:
        encoded.append(frame("", "[DONE]", len(encoded), stream, said))
    if stream.is_array:
        encoded.append(b"]")
    if "joined" in said:
        encoded = [b"".join(encoded)]
    for i, event in enumerate(encoded):
        if i == AFTER and said & {"cut", "half", "fails", "garbage", "silent"}:
            if "half" in said:
                yield event[: len(event) // 2]
            if said & {"cut", "half"}:
                raise Cut
            if "silent" in said:
                await asyncio.sleep(3600)
            if "fails" in said:
                name, data = error_event(path, dialect)
                yield frame(name, data, i, stream, said)
                return
            event = b'data: {"choices": [\n\n'
        if "slow" in said:
            await asyncio.sleep(0.05)
        for at in range(0, len(event), 3 if "tiny" in said else len(event)):
            yield event[at : at + 3] if "tiny" in said else event


def frame(name: str, data: Any, number: int, stream: Stream, said: frozenset[str]) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    if stream.is_array:
        return (("[" if number == 0 else ",\r\n") + text).encode()
    lines = [f"event: {name}"] if name else []
    lines += [f"data: {text}", "", ""]
    if "comments" in said:
        lines = [": the mock is thinking", "", *lines]
    return ("\r\n" if "crlf" in said else "\n").join(lines).encode()
