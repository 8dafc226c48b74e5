"""Is a relayed stream the provider's stream? Checked on a short one before any timing."""

import http.client
import json
import re

from harness.forms import CHAT, Form
from harness.record import BenchError
from harness.subjects import Running

EVENTS = 5
CLOCK = re.compile(rb"[0-9]{20}")


def check_stream(subject: str, running: Running, expected: bytes | None = None, exact: bool = True) -> bytes:
    """Read one stream of EVENTS content events; raises BenchError unless it is `expected`. Returns it, clocks zeroed.

    exact: byte by byte. Otherwise by what the events say (text length, finish reason, token counts, `[DONE]` last), for
    peers that write events anew and drop the empty first delta.
    """
    body = _read_stream(subject, running, CHAT)
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


def check_anthropic_stream(subject: str, running: Running, form: Form) -> None:
    """The same stream in Anthropic's events: EVENTS deltas of text with the provider's clock, the usage, the end."""
    body = _read_stream(subject, running, form)
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]
    deltas = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    ends = [event for event in events if event["type"] == "message_delta"]
    if len(deltas) != EVENTS or not all(CLOCK.match(text.encode()) for text in deltas):
        raise BenchError(f"{subject} sent other text than {EVENTS} deltas: {body[:900]!r}")
    if len(ends) != 1 or ends[0]["usage"]["output_tokens"] != EVENTS or events[-1]["type"] != "message_stop":
        raise BenchError(f"{subject} ended the stream without its usage: {body[-600:]!r}")


def _read_stream(subject: str, running: Running, form: Form) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    headers = {"Authorization": running.authorization, "Content-Type": "application/json", **running.headers}
    try:
        connection.request("POST", form.path, form.stream(EVENTS), headers)
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"{subject} broke off a stream: {error!r}") from error
    finally:
        connection.close()
    if reply.status != 200:
        raise BenchError(f"{subject} answered a stream with {reply.status}: {body[:300]!r}")
    return body
