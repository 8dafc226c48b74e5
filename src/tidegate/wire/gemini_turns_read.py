"""The turns of a Gemini request: its `contents` and its `systemInstruction`.

Gemini pairs a function's response with its call by `id` where there is one, else by name and order; other dialects
need ids, so calls without one get the id of their place, the same in every later request of the conversation.
"""

from collections import deque
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.wire.conversation import Media, Part, Role, Text, Thinking, ToolCall, ToolResult, Turn
from tidegate.wire.gemini_body import Blob, BodyPart, Content, FileData, Response, is_sent, several
from tidegate.wire.gemini_media import OWN_FILES, media_kind
from tidegate.wire.gemini_seal import NOT_SEALED, unseal
from tidegate.wire.unreadable import UNREADABLE

_ROLES: Final[dict[str, Role]] = {"user": "user", "model": "assistant", "function": "user"}
_SERVER_PARTS: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
_SETTINGS: Final = ("videoMetadata", "mediaResolution")
_OUTPUTS: Final = ("output", "result", "error")
_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_text_decoder = msgspec.json.Decoder(str)


def system_turn(content: Content) -> Turn | None:
    """Raises InvalidRequest where an instruction is not text."""
    texts = []
    for place, part in enumerate(several(content.parts)):
        if part.text is None:
            param = f"systemInstruction.parts[{place}]"
            raise InvalidRequest(f"{param} is not text; instructions can only be text.", param=param)
        if part.text:
            texts.append(Text(part.text))
    return Turn("system", tuple(texts)) if texts else None


def turns_of(contents: list[Content], unsaid: list[str]) -> list[Turn]:
    """Raises InvalidRequest naming the part that cannot be said to another provider."""
    reading = _Turns(contents, unsaid)
    spoken: list[tuple[Role, list[Part]]] = []
    for place, content in enumerate(contents):
        role = _ROLES.get((content.role or "user").lower())
        if role is None:
            param = f"contents[{place}].role"
            raise InvalidRequest(f"{param} is {content.role!r}; it must be 'user' or 'model'.", param=param)
        parts = reading.parts(content, f"contents[{place}]")
        if role == "assistant" and spoken and spoken[-1][0] == role:
            spoken[-1][1].extend(parts)
        elif parts:
            spoken.append((role, parts))
    turns = [Turn(role, tuple(_joined(parts) if role == "assistant" else parts)) for role, parts in spoken]
    if not turns:
        raise InvalidRequest("contents holds no part to answer; send at least one with text.", param="contents")
    return turns


def _joined(parts: list[Part]) -> list[Part]:
    """A model's parts without the cuts of its stream, which Google's SDKs keep in their histories, chunk by chunk.

    The seal of a streamed block comes last, on a part without text: it belongs to the pieces before it.
    """
    found: list[Part] = []
    pieces: list[str] = []  # of the last part found
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, Text | Thinking) and last is not None and _goes_on(last, part):
            pieces.append(part.text)
            found[-1] = part
            continue
        _complete(found, pieces)
        pieces = [part.text] if isinstance(part, Text | Thinking) else []
        found.append(part)
    _complete(found, pieces)
    return found


def _complete(found: list[Part], pieces: list[str]) -> None:
    if len(pieces) > 1:
        found[-1] = msgspec.structs.replace(found[-1], text="".join(pieces))


def _goes_on(last: Part, part: Text | Thinking) -> bool:
    """`last` is an unsealed piece, and `part` another one, or the seal of both."""
    if isinstance(part, Text):
        return isinstance(last, Text) and not last.signature
    if not isinstance(last, Thinking) or last.origin != "gemini" or last.signature or last.redacted or part.redacted:
        return False
    return part.origin == "gemini" or not part.text


class _Turns:
    """Which calls wait for their responses, and which ids are taken."""

    def __init__(self, contents: list[Content], unsaid: list[str]) -> None:
        self._unsaid = unsaid
        self._waiting: dict[str, ToolCall] = {}  # by id, in order
        self._by_name: dict[str, deque[str]] = {}  # their ids; those that are answered already are passed over
        calls = (part.functionCall for content in contents for part in several(content.parts))
        self._taken = {call.id for call in calls if call is not None and call.id}

    def parts(self, content: Content, place: str) -> list[Part]:
        found: list[Part] = []
        for at, part in enumerate(several(content.parts)):
            found += self._part(part, f"{place}.parts[{at}]")
        return found

    def _part(self, part: BodyPart, place: str) -> list[Part]:
        for name in _SERVER_PARTS:
            if is_sent(getattr(part, name)):
                param = f"{place}.{name}"
                raise InvalidRequest(f"{param} is of a tool that runs on Google's servers only.", param=param)
        self._unsaid += [f"{place}.{name}" for name in _SETTINGS if is_sent(getattr(part, name))]
        if part.functionCall is not None:
            return [self._call(part, place)]
        if part.functionResponse is not None:
            return [self._response(part.functionResponse, f"{place}.functionResponse")]
        if part.inlineData is not None:
            return [_inline(part.inlineData, f"{place}.inlineData")]
        if part.fileData is not None:
            return [_file(part.fileData, f"{place}.fileData")]
        if part.text is None and not part.thoughtSignature:
            self._unsaid.append(place)
            return []
        return _text(part)

    def _call(self, part: BodyPart, place: str) -> ToolCall:
        call = part.functionCall
        if call is None or not call.name:
            raise InvalidRequest(f"{place}.functionCall has no name.", param=f"{place}.functionCall.name")
        arguments = bytes(call.args).decode() if is_sent(call.args) else "{}"
        if not arguments.startswith("{"):
            raise InvalidRequest(f"{place}.functionCall.args must be an object.", param=f"{place}.functionCall.args")
        signature = "" if part.thoughtSignature in (None, NOT_SEALED) else str(part.thoughtSignature)
        sealed = unseal(signature)
        made = ToolCall(
            call.id or self._new_id(place),
            call.name,
            arguments,
            sealed.signature,
            sealed.origin if signature else "",
            item_id=sealed.item_id,
        )
        self._waiting[made.call_id] = made
        self._by_name.setdefault(made.name, deque()).append(made.call_id)
        return made

    def _new_id(self, place: str) -> str:
        """`call_3_0` for `contents[3].parts[0]`; never one that the caller uses itself."""
        made = "call_" + "_".join(piece for piece in place.replace("]", "[").split("[") if piece.isdecimal())
        while made in self._taken:
            made += "_"
        self._taken.add(made)
        return made

    def _response(self, response: Response, place: str) -> ToolResult:
        """The first waiting call of this id, else of this name, is the one that is answered."""
        call = self._waiting.pop(response.id or "", None) or self._first_waiting(response.name or "")
        if call is None and not response.id:
            raise InvalidRequest(
                f"{place} answers {response.name!r}, but no functionCall of that name before it waits for an answer.",
                param=place,
            )
        text, is_error = _output(response.response, place)
        parts: list[Text | Media] = [Text(text)] if text else []
        for at, part in enumerate(several(response.parts)):
            if part.inlineData is not None:
                parts.append(_inline(part.inlineData, f"{place}.parts[{at}].inlineData"))
            elif part.fileData is not None:
                parts.append(_file(part.fileData, f"{place}.parts[{at}].fileData"))
        call_id = call.call_id if call is not None else str(response.id)
        return ToolResult(call_id, tuple(parts), response.name or (call.name if call else ""), is_error)

    def _first_waiting(self, name: str) -> ToolCall | None:
        ids = self._by_name.get(name, deque())
        while ids:
            call = self._waiting.pop(ids.popleft(), None)
            if call is not None:
                return call
        return None


def _output(response: Raw, place: str) -> tuple[str, bool]:
    """A response as text, and whether it is an error: `{"output": "text"}` is the text, another object its JSON."""
    if not is_sent(response):
        return "", False
    try:
        members = _object_decoder.decode(response)
        if len(members) == 1 and (name := next(iter(members))) in _OUTPUTS:
            value = members[name]
            is_text = bytes(value).startswith(b'"')
            return (_text_decoder.decode(value) if is_text else bytes(value).decode()), name == "error"
        return bytes(response).decode(), "error" in members
    except UNREADABLE:
        raise InvalidRequest(f"{place}.response must be an object.", param=f"{place}.response") from None


def _text(part: BodyPart) -> list[Part]:
    text, signature = part.text or "", part.thoughtSignature or ""
    sealed = unseal(signature) if signature and signature != NOT_SEALED else None
    if part.thought or (sealed is not None and sealed.is_redacted):
        if sealed is None:
            return [Thinking(text, origin="gemini")] if text else []
        if sealed.is_redacted:
            return [Thinking(redacted=sealed.signature, origin=sealed.origin, item_id=sealed.item_id)]
        return [Thinking(text, sealed.signature, origin=sealed.origin, item_id=sealed.item_id)]
    if sealed is None:
        return [Text(text)] if text else []
    return [Text(text, signature=sealed.signature, origin=sealed.origin)]


def _inline(blob: Blob, place: str) -> Media:
    if not blob.data or not blob.mimeType:
        missing = "mimeType" if blob.data else "data"
        raise InvalidRequest(f"{place}.{missing} is missing.", param=f"{place}.{missing}")
    kind = media_kind(blob.mimeType)
    # Google's SDKs write base64 in its URL alphabet; every other API wants the standard one.
    data = blob.data.replace("-", "+").replace("_", "/") if "-" in blob.data or "_" in blob.data else blob.data
    return Media(kind, data=data, media_type=blob.mimeType, name=blob.displayName or "")


def _file(file: FileData, place: str) -> Media:
    uri = file.fileUri or ""
    if not uri:
        raise InvalidRequest(f"{place}.fileUri is missing.", param=f"{place}.fileUri")
    kind = media_kind(file.mimeType or "", uri)
    name, media_type = file.displayName or "", file.mimeType or ""
    if uri.startswith(OWN_FILES):
        return Media(kind, file_id=uri, media_type=media_type, name=name)
    return Media(kind, url=uri, media_type=media_type, name=name)
