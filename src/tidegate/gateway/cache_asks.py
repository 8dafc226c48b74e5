"""What a request has to do with the response cache: what it says of it, whether its answer may be kept, its name.

The name is of everything that could change who answers, or what: tenant, project and key as far as answers are not
shared, path, the headers that steer or go on, and the body, byte for byte. It is a hash of 256 bits under a key that
each process draws at its start: nobody outside can aim at another's name, and chance needs 2^128 calls. So a name is
taken for the request, and no request is kept to be compared.
"""

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidegate.core.cache_settings import Sharing
from tidegate.core.errors import InvalidRequest
from tidegate.gateway.dispatch import PASSED_ON
from tidegate.gateway.http import Headers, Request
from tidegate.wire.routing_ask import DATA_CLASS, POLICY

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key

ASKS: Final = b"x-tidegate-cache"
CONTROL: Final = b"cache-control"
WORDS: Final = ("no-store", "no-cache", "only-if-cached", "max-age=SECONDS")
HEADERS: Final = (DATA_CLASS, POLICY, *sorted({name for names in PASSED_ON.values() for name in names}))
"""Those that could change who answers, or what."""

NAME_BYTES: Final = 32
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class CacheAsk(msgspec.Struct, frozen=True):
    """stores: the answer may be kept. looks: one that is kept will do. is_only: nothing else will. age_max_s: of it."""

    stores: bool = True
    looks: bool = True
    is_only: bool = False
    age_max_s: float = float("inf")


PLAIN: Final = CacheAsk()


def cache_ask(headers: Headers) -> CacheAsk:
    """What a caller says of caching, in `x-tidegate-cache` or `cache-control` (RFC 9111, section 5.2.1).

    Raises InvalidRequest for a word of `x-tidegate-cache` that means nothing; `cache-control` may hold any.
    """
    own, control = headers.get(ASKS), headers.get(CONTROL)
    if own is None and control is None:
        return PLAIN
    words = _words(own)
    for word in words:
        if word not in WORDS[:3] and not _is_age(word):
            raise InvalidRequest(
                f"The header {ASKS.decode()} says {word[:60]!r}; it may say {', '.join(WORDS[:-1])} or {WORDS[-1]}."
            )
    words += _words(control)
    ages = [int(word.partition("=")[2]) for word in words if _is_age(word)]
    return CacheAsk(
        stores="no-store" not in words,
        looks="no-store" not in words and "no-cache" not in words,
        is_only="only-if-cached" in words,
        age_max_s=min(ages, default=float("inf")),
    )


def _words(header: bytes | None) -> list[str]:
    return [word for part in (header or b"").decode("latin-1").lower().split(",") if (word := part.strip())]


def _is_age(word: str) -> bool:
    name, _, seconds = word.partition("=")
    return name == "max-age" and seconds.isdecimal() and seconds.isascii() and len(seconds) < 10


class _Sampling(msgspec.Struct):
    temperature: Any = None
    seed: Any = None


class _Body(_Sampling):
    generationConfig: _Sampling | None = None  # Google's spelling
    generation_config: _Sampling | None = None
    previous_response_id: Any = None
    conversation: Any = None
    background: Any = None


_decoder = msgspec.json.Decoder(_Body)


def is_keepable(dialect: str, body: bytes, *, any_temperature: bool) -> bool:
    """Whether the same request may be given the same answer again.

    Not where it leans on what the provider keeps (a former response, a conversation): the answer is not of these bytes
    alone. Else, unless `any_temperature`, where it asks to be answered alike: temperature 0, a seed. Vectors are.
    """
    if dialect == "openai-embeddings":
        return True
    try:
        asked = _decoder.decode(body)
    except _UNREADABLE:
        return False
    if any(value not in (None, False) for value in (asked.previous_response_id, asked.conversation, asked.background)):
        return False
    if any_temperature:
        return True
    return any(
        _is_zero(part.temperature) or _is_whole(part.seed)
        for part in (asked, asked.generationConfig, asked.generation_config)
        if part is not None
    )


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Names:
    """The names of requests in one process."""

    def __init__(self, secret: bytes) -> None:
        """secret: 32 random bytes."""
        self._secret = secret

    def name(self, key: "Key", sharing: Sharing, request: Request, body: bytes) -> bytes:
        """Of a request whose body came as these bytes."""
        digest = hashlib.blake2b(key=self._secret, digest_size=NAME_BYTES)
        who = {"key": (key.project_id, key.key_id), "project": (key.project_id, ""), "tenant": ("", "")}[sharing]
        texts = (sharing, key.tenant_id, *who, request.path)
        parts = [text.encode("utf-8", "surrogatepass") for text in texts]
        parts += [request.query, *(request.headers.get(name, b"") for name in HEADERS)]
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        digest.update(body)
        return digest.digest()
