"""Where Gemini's requests say model and method: in the path, for the Gemini API and Vertex AI alike."""

import re
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

STREAM: Final = "streamGenerateContent"
COUNT: Final = "countTokens"

_PATH: Final = re.compile(
    r"(?:/api)?/v1(?:(?:alpha|beta)\d*)?/"
    r"(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/[^/]+/)?"
    r"(?:models|endpoints|(?=tunedModels/))/?(?P<model>.+):(?P<method>[A-Za-z]+)"
)


class GeminiPath(Struct, frozen=True):
    """`method`: generateContent, streamGenerateContent, countTokens or another. `is_array`: a stream is wanted as one
    JSON array (no `alt=sse`)."""

    model: str
    method: str
    is_stream: bool = False
    is_array: bool = False


def parse_path(path: str, query: str = "") -> GeminiPath | None:
    """What a path asks for; None where it is no call of a model. The model may hold slashes and colons."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    is_stream = found["method"] == STREAM
    is_sse = "alt=sse" in query.lower().split("&")
    return GeminiPath(unquote(found["model"]), found["method"], is_stream, is_stream and not is_sse)
