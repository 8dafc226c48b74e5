"""The body of a `generateContent` request, as far as any other dialect could say it.

A repeated member may come as its one element (Google's servers take `"parts": {"text": "hi"}`), numbers as strings.
"""

from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.gemini_spelling import in_camel_case
from tidegate.wire.unreadable import UNREADABLE, refuse_body

NOT_SENT: Final = Raw(b"")

T = TypeVar("T")


class Blob(Struct, frozen=True):
    mimeType: str | None = None
    data: str | None = None
    displayName: str | None = None


class FileData(Struct, frozen=True):
    fileUri: str | None = None
    mimeType: str | None = None
    displayName: str | None = None


class Call(Struct, frozen=True):
    name: str | None = None
    id: str | None = None
    args: Raw = NOT_SENT


class ResponsePart(Struct, frozen=True):
    inlineData: Blob | None = None
    fileData: FileData | None = None


class Response(Struct, frozen=True):
    name: str | None = None
    id: str | None = None
    response: Raw = NOT_SENT
    parts: list[ResponsePart] | ResponsePart | None = None


class BodyPart(Struct, frozen=True):
    """Kinds of parts that only Gemini's own servers make stay raw."""

    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None
    inlineData: Blob | None = None
    fileData: FileData | None = None
    functionCall: Call | None = None
    functionResponse: Response | None = None
    executableCode: Raw = NOT_SENT
    codeExecutionResult: Raw = NOT_SENT
    toolCall: Raw = NOT_SENT
    toolResponse: Raw = NOT_SENT
    videoMetadata: Raw = NOT_SENT
    mediaResolution: Raw = NOT_SENT


class Content(Struct, frozen=True):
    role: str | None = None
    parts: list[BodyPart] | BodyPart | None = None


class Declaration(Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: Raw = NOT_SENT
    parametersJsonSchema: Raw = NOT_SENT


class FunctionCalling(Struct, frozen=True):
    mode: str | None = None
    allowedFunctionNames: list[str] | None = None


class ToolConfig(Struct, frozen=True):
    functionCallingConfig: FunctionCalling | None = None


class Thinking(Struct, frozen=True):
    includeThoughts: bool | None = None
    thinkingBudget: int | None = None
    thinkingLevel: str | None = None


class GenerationConfig(Struct, frozen=True):
    temperature: float | None = None
    topP: float | None = None
    topK: float | None = None
    candidateCount: int | None = None
    maxOutputTokens: int | None = None
    stopSequences: list[str] | str | None = None
    seed: int | None = None
    presencePenalty: float | None = None
    frequencyPenalty: float | None = None
    responseMimeType: str | None = None
    responseSchema: Raw = NOT_SENT
    responseJsonSchema: Raw = NOT_SENT
    responseModalities: list[str] | str | None = None
    thinkingConfig: Thinking | None = None


class Body(Struct, frozen=True):
    """`tools`: raw, since each names what it is by its one member."""

    contents: list[Content] | Content | None = None
    systemInstruction: Content | None = None
    tools: list[dict[str, Raw]] | dict[str, Raw] | None = None
    toolConfig: ToolConfig | None = None
    generationConfig: GenerationConfig | None = None
    cachedContent: str | None = None
    serviceTier: str | None = None


_body_decoder = msgspec.json.Decoder(Body, strict=False)
_names_decoder = msgspec.json.Decoder(dict[str, Raw])


def read_body(body: bytes) -> tuple[Body, dict[str, Raw]]:
    """The request, and all its members by name in camel case.

    Raises InvalidRequest naming the place and what was expected.
    """
    try:
        body.decode()  # schemas travel as they are, and nobody else looks into them
        spelt = in_camel_case(body)
        return _body_decoder.decode(spelt), _names_decoder.decode(spelt)
    except UNREADABLE as error:
        refuse_body(error, "generateContent request")


def several(value: list[T] | T | None) -> list[T]:
    """A repeated member, also where it came as its one element."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def is_sent(value: Raw) -> bool:
    return bytes(value) not in (b"", b"null")
