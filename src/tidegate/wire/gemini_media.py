"""Kinds of media by MIME type, and MIME types where a caller did not say one (Gemini wants one for every blob)."""

import base64
import binascii
from typing import Final, Literal

MediaKind = Literal["image", "document", "audio", "video"]

_HEADS: Final = (  # the first bytes of common files
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_EXTENSIONS: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
}
_USUAL: Final = {"image": "image/jpeg", "document": "application/pdf", "audio": "audio/wav", "video": "video/mp4"}
_VIDEO_SITES: Final = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")
OWN_FILES: Final = ("https://generativelanguage.googleapis.com/", "gs://")
"""Where files lie that only Google can read: its Files API and its Cloud Storage."""

_HEAD_LETTERS: Final = 24  # of base64: enough for every head above


def media_kind(media_type: str, url: str = "") -> MediaKind:
    """What kind of medium it is; a document where nobody says."""
    kind = (media_type or type_by_name(url)).partition("/")[0]
    if kind in ("image", "audio", "video"):
        return kind  # type: ignore[return-value]  # one of the three, as seen
    return "video" if url.startswith(_VIDEO_SITES) else "document"


def type_by_name(name: str) -> str:
    """A MIME type by the extension of a file name or URL; empty where it tells none."""
    path = name.partition("?")[0].partition("#")[0]
    return _EXTENSIONS.get(path.rpartition(".")[2].lower(), "")


def type_by_head(data: str) -> str:
    """A MIME type by the first bytes of a file in base64; empty where they tell none."""
    try:
        head = base64.b64decode(data[:_HEAD_LETTERS])
    except (binascii.Error, ValueError):
        return ""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], "")
    return next((kind for start, kind in _HEADS if head.startswith(start)), "")


def usual_type(kind: MediaKind) -> str:
    """What a medium of a kind most likely is, where nothing tells."""
    return _USUAL[kind]


def data_url(url: str) -> tuple[str, str] | None:
    """MIME type and base64 of a `data:` URL; None where it is another, or not in base64."""
    if not url.startswith("data:"):
        return None
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        return None
    return head.removesuffix(";base64").partition(";")[0], data
