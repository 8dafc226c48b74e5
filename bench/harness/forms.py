"""What callers say: the request in their dialect, and the marks by which the load knows an event and the end."""

import json
from collections.abc import Callable

import msgspec

from harness.bodies import request_body, stream_body


class Form(msgspec.Struct, frozen=True):
    """One dialect of callers. The provider behind always speaks OpenAI's chat completions."""

    name: str
    path: str
    event: bytes  # stands once in each event that carries content
    content: bytes  # stands right before the provider's clock
    done: bytes  # in the last event
    spoken: Callable[[bytes], bytes]  # a chat request in this dialect

    def request(self, size_bytes: int) -> bytes:
        return self.spoken(request_body(size_bytes))

    def stream(self, events: int) -> bytes:
        return self.spoken(stream_body(events))

    def http(self, port: int, authorization: str, body: bytes) -> bytes:
        """The whole request over HTTP."""
        return (
            b"POST %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: %b\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (self.path.encode(), port, authorization.encode(), len(body), body)
        )


def _as_anthropic(body: bytes) -> bytes:
    """The same turns as Anthropic's SDK sends them: `system` apart, no field that chat alone has."""
    asked = json.loads(body)
    asked.pop("stream_options", None)
    turns = asked.pop("messages")
    if turns[0]["role"] == "system":
        asked["system"] = turns.pop(0)["content"]
    return json.dumps(asked | {"messages": turns}, separators=(",", ":")).encode()


CHAT = Form("chat", "/v1/chat/completions", b"data: {", b'"content":"', b"data: [DONE]", bytes)
ANTHROPIC = Form(
    "anthropic", "/v1/messages", b"event: content_block_delta", b'"text":"', b"event: message_stop", _as_anthropic
)
FORMS = {form.name: form for form in (CHAT, ANTHROPIC)}
