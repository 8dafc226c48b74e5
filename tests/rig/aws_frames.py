"""Frames of AWS's event stream, as a server writes them: for fake providers and tests."""

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

STRING = 7


def frame(headers: Mapping[str, str], payload: bytes = b"") -> bytes:
    """One message with string headers."""
    packed = b""
    for name, value in headers.items():
        raw = value.encode()
        packed += struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", STRING, len(raw)) + raw
    return message(packed, payload)


def message(packed_headers: bytes, payload: bytes) -> bytes:
    """One message with headers that are packed already."""
    prelude = struct.pack(">II", 16 + len(packed_headers) + len(payload), len(packed_headers))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    whole = prelude + packed_headers + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def event(name: str, body: Mapping[str, Any]) -> bytes:
    """An event as Bedrock's ConverseStream sends it."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, msgspec.json.encode(body))


def exception(name: str, body: Mapping[str, Any]) -> bytes:
    """An exception inside a stream that has begun."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, msgspec.json.encode(body))
