"""A mock provider on loopback: every create-type operation of OpenAI, Anthropic and Gemini, in its documented shape.

`with MockProvider() as mock:` gives `mock.url` (where `/v1` and `/v1beta` begin) and `mock.calls`, what arrived. The
model's name says what is answered (`conformance.mock.turn`) and what goes wrong (`conformance.mock.faults`). It is
strict: requests without a key, without what is required, or with results that answer no call are refused as the
provider would. By hand: `python -m conformance.mock_provider 4010` in tests/.
"""

import asyncio
import json
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from conformance.mock import chat, faults, gemini, media, messages, responses
from conformance.mock.shapes import Ask, Handler, Refused, Stream, Whole
from conformance.mock.turn import words
from rig.server import ThreadedServer

MODEL = r"(?P<model>[^:]+)"
ROUTES: tuple[tuple[str, str, str, Handler], ...] = (
    ("POST", r"/chat/completions", "openai", chat.chat),
    ("POST", r"/responses/input_tokens", "openai", responses.input_tokens),
    ("POST", r"/responses/compact", "openai", responses.compact),
    ("POST", r"/responses", "openai", responses.responses),
    ("POST", r"/completions", "openai", chat.completions),
    ("POST", r"/embeddings", "openai", chat.embeddings),
    ("POST", r"/images/generations", "openai", media.image_generations),
    ("POST", r"/images/edits", "openai", media.image_edits),
    ("POST", r"/images/variations", "openai", media.image_variations),
    ("POST", r"/audio/speech", "openai", media.speech),
    ("POST", r"/audio/transcriptions", "openai", media.transcriptions),
    ("POST", r"/audio/translations", "openai", media.translations),
    ("POST", r"/moderations", "openai", media.moderations),
    ("POST", r"/rerank", "openai", media.rerank),
    ("POST", r"/messages/count_tokens", "anthropic", messages.count_tokens),
    ("POST", r"/messages", "anthropic", messages.messages),
    ("POST", rf"/models/{MODEL}:generateContent", "gemini", gemini.generate),
    ("POST", rf"/models/{MODEL}:streamGenerateContent", "gemini", gemini.stream),
    ("POST", rf"/models/{MODEL}:countTokens", "gemini", gemini.count),
    ("POST", rf"/models/{MODEL}:embedContent", "gemini", gemini.embed),
    ("GET", r"/v1beta/models", "gemini", media.gemini_models),
    ("GET", rf"/v1beta/models/{MODEL}", "gemini", media.gemini_models),
    ("GET", r"/models", "openai", media.models),
    ("GET", rf"/models/{MODEL}", "openai", media.models),
)
"""Method, end of the path (what precedes it is the base URL's), whose form errors have, and who answers."""

KEYS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")


class Seen(NamedTuple):
    """A request as it arrived. body: its JSON or the fields of its form; raw: its bytes."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    body: Mapping[str, Any]


class MockProvider(ThreadedServer):
    """`calls`: requests in order of arrival.

    arguments: what named tools are called with, instead of made-up values. plain_vectors: embeddings are never base64.
    """

    def __init__(
        self, port: int = 0, arguments: Mapping[str, dict[str, Any]] | None = None, *, plain_vectors: bool = False
    ) -> None:
        super().__init__()
        self.calls: list[Seen] = []
        self.arguments = dict(arguments or {})
        self.plain_vectors = plain_vectors
        self._port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> asyncio.Server:
        return await asyncio.start_server(self.serve, "127.0.0.1", self._port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (seen := await read_request(reader, writer)) is not None:
                self.calls.append(seen)
                await self.answer(seen, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side has gone, or the server stops
        except faults.Cut:
            writer.transport.abort()
        finally:
            writer.close()

    async def answer(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        route = find_route(seen.method, seen.path)
        if route is None:
            return await write_whole(writer, refusal("openai", 404, f"Unknown request URL: {seen.method} {seen.path}."))
        path, dialect, handler = route
        dialect = "anthropic" if "anthropic-version" in seen.headers else dialect
        ask = Ask(seen.body, path, seen.query, seen.headers, self.arguments, self.plain_vectors)
        said = words(ask.model)
        status = faults.asked_status(said)
        if not any(name in seen.headers for name in KEYS) and "key" not in seen.query:
            return await write_whole(writer, refusal(dialect, 401, "You didn't provide an API key."))
        if status is not None:
            return await write_whole(writer, refusal(dialect, status, f"The mock answers {status}."))
        if "wrong" in said:
            return await write_whole(writer, Whole(faults.PAGE, "text/html"))
        try:
            reply = handler(ask)
        except Refused as error:
            return await write_whole(writer, refusal(dialect, 400, str(error), error.where))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return await write_whole(writer, refusal(dialect, 400, f"Your request is not well-formed: {error!r}"))
        if isinstance(reply, Stream):
            return await write_stream(writer, reply, said, seen.path, dialect)
        return await write_whole(writer, reply)


def find_route(method: str, path: str) -> tuple[dict[str, str], str, Handler] | None:
    """What the path names, the dialect, and who answers."""
    for its_method, end, dialect, handler in ROUTES:
        found = re.search(f"{end}$", path)
        if found and its_method == method:
            return {name: unquote(value) for name, value in found.groupdict().items()}, dialect, handler
    return None


def refusal(dialect: str, status: int, message: str, where: str = "") -> Whole:
    return Whole(faults.error_body(dialect, status, message, where), status=status)


async def write_whole(writer: asyncio.StreamWriter, reply: Whole) -> None:
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body, ensure_ascii=False).encode()
    lines = [f"HTTP/1.1 {reply.status} Mock", f"content-type: {reply.content_type}", f"content-length: {len(body)}"]
    lines += ["x-request-id: req_mock", "request-id: req_mock"]
    lines += ["retry-after: 1"] if reply.status in (429, 529) else []
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


async def write_stream(
    writer: asyncio.StreamWriter, reply: Stream, said: frozenset[str], path: str, dialect: str
) -> None:
    kind = "application/json" if reply.is_array else "text/event-stream; charset=utf-8"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nrequest-id: req_mock\r\n\r\n"
    writer.write(head.encode())
    async for data in faults.written(reply, said, path, dialect):
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Seen | None:
    """The next request of a connection; None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in headers.get("transfer-encoding", ""):
        raw = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            raw += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    else:
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    return Seen(method, path, dict(parse_qsl(query)), headers, raw, fields_of(headers, raw))


def fields_of(headers: Mapping[str, str], raw: bytes) -> Mapping[str, Any]:
    """The JSON of a body, or the parts of a form."""
    kind = headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        return form_fields(kind, raw)
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def form_fields(kind: str, raw: bytes) -> dict[str, Any]:
    """The parts of a form by name: files as bytes, the others as text."""
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    found: dict[str, Any] = {}
    for part in raw.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        if name:
            value = content.removesuffix(b"\r\n")
            found[name[1].decode()] = value if b"filename=" in head else value.decode()
    return found


def main() -> None:
    mock = MockProvider(int(sys.argv[1]) if len(sys.argv) > 1 else 4010)
    with mock:
        print(f"mock provider on {mock.url}", flush=True)
        try:
            mock._thread.join()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
