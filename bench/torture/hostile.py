"""A provider that answers as it is told: well, late, never, half, or wrongly; and remembers what it charges for."""

import asyncio
import json
import re
import threading
import zlib
from collections import Counter
from typing import Any

import msgspec

from rig.provider import Call, completion, delta
from rig.server import ThreadedServer
from torture.program import INPUT_TOKENS

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
ORDER = re.compile(r"torture (\S+) (\w+) out=(\d+) tenant=(\S+)")


class Charged(msgspec.Struct, frozen=True):
    """What the provider said that an attempt used, and whether it said all it meant to."""

    output_tokens: int
    is_whole: bool


class HostileProvider(ThreadedServer):
    """`charged`: by the caller's request id, an entry an attempt. `open_most`: calls at one time, by tenant."""

    def __init__(self) -> None:
        super().__init__()
        self.charged: dict[str, list[Charged]] = {}
        self.attempts: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.open_most: Counter[str] = Counter()
        self.lock = threading.Lock()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                call = Call(head[:-4], b"{}", reader, writer)
                raw = await reader.readexactly(int(call.headers["content-length"]))
                call.raw, call.body = raw, json.loads(raw)
                if not await self._answer(call):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, call: Call) -> bool:
        text = call.body["messages"][-1]["content"]
        order = ORDER.match(text)
        assert order, text[:80]
        request_id, script, wanted, tenant = order[1], order[2], int(order[3]), order[4]
        self.attempts[request_id] += 1
        if self.attempts[request_id] > 1 and zlib.crc32(request_id.encode()) % 4:
            script = "ok"  # what failed once works elsewhere, mostly
        limit = call.body.get("max_tokens") or call.body.get("max_completion_tokens")
        output = wanted if limit is None or script == "over" else min(wanted, int(limit))
        self.open[tenant] += 1
        self.open_most[tenant] = max(self.open_most[tenant], self.open[tenant])
        try:
            return await self._play(call, request_id, script, output)
        finally:
            self.open[tenant] -= 1

    async def _play(self, call: Call, request_id: str, script: str, output: int) -> bool:
        if script == "error":
            await call.reply(500, {"error": {"message": "broken on purpose"}})
            return True
        if script == "busy":
            body = b'{"error":{"message":"busy on purpose"}}'  # without a rest, or nobody would ask it for seconds
            head = b"HTTP/1.1 429 X\r\nretry-after: 0\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            await call.write(head % len(body) + body)
            return True
        if script == "hang_up":
            return False
        await asyncio.sleep(0.9 if script == "slow" else 0.02)
        if script == "garbage":
            await call.write(HEAD + b'9\r\n\r\n{"choices')
            return False
        usage: dict[str, Any] | None = {
            "prompt_tokens": INPUT_TOKENS,
            "completion_tokens": output,
            "total_tokens": INPUT_TOKENS + output,
        }
        if script == "silent":
            usage = None
        if call.body.get("stream"):
            return await self._stream(call, request_id, script, output, usage)
        if script == "cut":
            await call.write(HEAD + b'900\r\n\r\n{"id":')
            return False
        self._charge(request_id, output, is_whole=usage is not None)
        await call.reply(200, completion(call.body["model"], usage=usage, text="word " * min(output, 40)))
        return True

    async def _stream(
        self, call: Call, request_id: str, script: str, output: int, usage: dict[str, Any] | None
    ) -> bool:
        await call.begin_stream()
        if script == "costly":  # it says what it charges, and then breaks before the first word
            self._charge(request_id, output, is_whole=True)
            await call.event(delta(None) | {"choices": [], "usage": usage})
            return False
        for number in range(6):
            await call.event(delta("word " * max(1, min(output, 40) // 6)))
            await asyncio.sleep(0.25 if script == "slow" else 0.005)
            if script == "cut" and number == 2:
                return False
        await call.event(delta(None, "stop"))
        if usage is not None:
            self._charge(request_id, output, is_whole=True)
            await call.event(delta(None) | {"choices": [], "usage": usage})
        await call.end_stream()
        return True

    def _charge(self, request_id: str, output: int, *, is_whole: bool) -> None:
        with self.lock:
            self.charged.setdefault(request_id, []).append(Charged(output, is_whole))
