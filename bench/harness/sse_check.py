"""Is a relayed stream the provider's stream? Checked on a short one before any timing."""

import http.client
import json
import re

from harness.bodies import stream_body
from harness.record import BenchError

EVENTS = 5
CLOCK = re.compile(rb"[0-9]{20}")


def check_stream(subject: str, port: int, authorization: str, expected: bytes | None, exact: bool = True) -> bytes:
    """Read one stream of EVENTS content events; raises BenchError unless it is `expected`. Returns it, clocks zeroed.

    exact: byte by byte. Otherwise by what the events say (text length, finish reason, token counts, `[DONE]` last), for
    peers that write events anew and drop the empty first delta.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", stream_body(EVENTS), headers)
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"{subject} broke off a stream: {error!r}") from error
    finally:
        connection.close()
    if reply.status != 200:
        raise BenchError(f"{subject} answered a stream with {reply.status}: {body[:300]!r}")
    said = read_events(body)
    if said[-1:] != ["[DONE]"] or sum(isinstance(each, tuple) and each[0] > 0 for each in said) != EVENTS:
        raise BenchError(f"{subject} sent another stream than {EVENTS} events and [DONE]: {body[:900]!r}")
    body = CLOCK.sub(b"0" * 20, body)
    if expected is not None and (body != expected if exact else said != read_events(expected)):
        raise BenchError(f"{subject} changed the stream: {body[:900]!r}, not {expected[:900]!r}")
    return body


def read_events(body: bytes) -> list[object]:
    """The events of a whole stream that say something: (text length, finish reason, token counts) each."""
    said: list[object] = []
    for line in body.decode().splitlines():
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            said.append(data)
            continue
        event = json.loads(data)
        choice = (event.get("choices") or [{}])[0]
        usage = event.get("usage") or {}
        told = (
            len((choice.get("delta") or {}).get("content") or ""),
            choice.get("finish_reason") or None,
            (usage.get("prompt_tokens"), usage.get("completion_tokens")) if usage else None,
        )
        if told != (0, None, None):
            said.append(told)
    return said
