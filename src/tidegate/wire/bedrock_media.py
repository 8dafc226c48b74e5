"""Images, documents, audio and video as Converse wants them: bytes with the name of their format, or an S3 location."""

import re
from typing import Final

from tidegate.core.errors import InvalidRequest
from tidegate.wire.conversation import Media

Json = dict[str, object]

_FORMATS: Final = {
    "image": {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"},
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    },
    "video": {
        "video/x-matroska": "mkv",
        "video/quicktime": "mov",
        "video/mp4": "mp4",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/x-ms-wmv": "wmv",
        "video/3gpp": "three_gp",
    },
    "audio": {
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "audio/opus": "opus",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/mp4": "mp4",
        "audio/ogg": "ogg",
        "audio/webm": "webm",
        "audio/pcm": "pcm",
        "audio/m4a": "m4a",
    },
}
_FIRST_BYTES: Final = {"iVBORw0KGgo": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp", "JVBERi0": "pdf"}
"""How files begin, in base64, for callers that do not say their type."""

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9\-()\[\]]+")
NAME_CHARS_MAX: Final = 200


class Names:
    """Names of documents in one request: Converse wants one for each, of few characters, and no two alike."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, given: str) -> str:
        plain = _NOT_IN_NAMES.sub(" ", given).strip()[: NAME_CHARS_MAX - 8] or "document"
        name, count = plain, 1
        while name in self._taken:
            count += 1
            name = f"{plain} {count}"
        self._taken.add(name)
        return name


def media_block(media: Media, names: Names) -> Json:
    """The content block of a medium. Raises InvalidRequest for a form that Bedrock does not take."""
    source = _source(media)
    block: Json = {"format": _format(media), "source": source}
    if media.kind == "document":
        block["name"] = names.of(media.name)
    return {media.kind: block}


def _source(media: Media) -> Json:
    if media.data:
        return {"bytes": media.data}
    if media.url.startswith("s3://"):
        return {"s3Location": {"uri": media.url}}
    seen = "a URL" if media.url else "the id of a file" if media.file_id else "no data"
    raise InvalidRequest(
        f"Bedrock fetches nothing: its {media.kind}s are sent as base64 data or lie in S3 (s3://...), but this one has "
        f"{seen}. Send its bytes, or a model of another provider.",
        param="messages",
    )


def _format(media: Media) -> str:
    known = _FORMATS[media.kind]
    found = known.get(media.media_type.partition(";")[0].strip().lower())
    if found is None:
        found = next((word for start, word in _FIRST_BYTES.items() if media.data.startswith(start)), None)
    if found is None and not media.media_type:
        ending = (media.url or media.name).rpartition(".")[2].lower()
        found = {"jpg": "jpeg", "3gp": "three_gp"}.get(ending, ending)
    if found is None or found not in known.values():
        said = repr(media.media_type[:100]) if media.media_type else "none"
        raise InvalidRequest(
            f"Bedrock takes a {media.kind} as {', '.join(sorted(set(known.values())))}; its media type here is {said}.",
            param="messages",
        )
    return found
