"""The models this gateway serves, as each kind of client lists them: OpenAI's, Anthropic's, Google's and OpenRouter's.

Who asks is told by the path and by the header `anthropic-version`. What nobody knows of a model is left out or null.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from tidegate.core.errors import GatewayError, InvalidRequest, ModelNotFound
from tidegate.core.facts import Endpoint
from tidegate.core.money import format_unit_price
from tidegate.core.price import KindRates, Price, Rates
from tidegate.gateway.http import Headers
from tidegate.gateway.ladders import PROVIDER as LADDERS
from tidegate.wire.dialects import DIALECTS

Json = dict[str, Any]

ANTHROPIC_PAGE, GEMINI_PAGE, PAGE_MAX, WORDS_MAX = 20, 50, 1000, 100
PREFIXES: Final = ("/v1/models", "/api/v1/models", "/v1beta/models")
NEVER_SAID: Final = "1970-01-01T00:00:00Z"  # Anthropic's own word for a date that it does not know
SAID_EVERYWHERE: Final = ("max_tokens", "response_format", "stop", "temperature", "tool_choice", "tools", "top_p")
"""OpenAI's parameters that every dialect of a provider can say."""

_encoder = msgspec.json.Encoder()


def is_models_path(path: str) -> bool:
    """A list of models, or one of them. OpenRouter's list of a model's endpoints is another page."""
    return path.startswith(PREFIXES) and model_in(path) is not None


def model_in(path: str) -> str | None:
    """The model that a path asks for; empty for the whole list, None where the path is neither."""
    for prefix in PREFIXES:
        if path == prefix:
            return ""
        if path.startswith(f"{prefix}/") and not path.endswith("/endpoints"):
            return unquote(path.removeprefix(f"{prefix}/")) or None
    return None


def dialect_of(path: str, headers: Headers) -> str:
    """Whose list a caller expects."""
    if path.startswith("/v1beta/"):
        return "gemini"
    if b"anthropic-version" in headers:
        return "anthropic"
    return "openrouter" if path.startswith("/api/") else "openai"


class Listings:
    """Lists of one routing table. Those without a page are written once."""

    def __init__(self, models: Mapping[str, Endpoint], created_s: int, context_tokens: Mapping[str, int]) -> None:
        """models: by the name they are listed under. context_tokens: by the same; absent where unknown."""
        self.models = dict(sorted(models.items()))
        self._created_s, self._context_tokens = created_s, context_tokens
        self._written: dict[str, bytes] = {}

    def page(self, path: str, query: bytes, headers: Headers) -> tuple[int, bytes]:
        """Status and body for a path of `is_models_path`: a list, one model, or an error in the caller's dialect."""
        dialect = dialect_of(path, headers)
        try:
            return 200, self._page(dialect, model_in(path) or "", query.decode("latin-1"))
        except GatewayError as error:
            if dialect != "anthropic":
                raise  # the path tells the listener how to say it
            return error.status, DIALECTS["anthropic"].error_body(error, request_id="")

    def _page(self, dialect: str, name: str, query: str) -> bytes:
        if name:
            return _encoder.encode(self._one(dialect, name.removeprefix("models/")))
        if dialect == "anthropic":
            return _encoder.encode(self._anthropic_page(_words(query)))
        if dialect == "gemini":
            return _encoder.encode(self._gemini_page(_words(query)))
        if dialect not in self._written:
            data = [ENTRIES[dialect](self, endpoint) for endpoint in self.models.values()]
            whole: Json = {"object": "list", "data": data}
            if dialect == "openrouter":
                whole = {"data": data, "total_count": len(data), "links": {"next": None}}
            self._written[dialect] = _encoder.encode(whole)
        return self._written[dialect]

    def _one(self, dialect: str, name: str) -> Json:
        endpoint = self.models.get(name) or self.models.get(name.lower())
        if endpoint is None:
            raise ModelNotFound(name, self.models.keys())
        return ENTRIES[dialect](self, endpoint)

    def _anthropic_page(self, words: Mapping[str, str]) -> Json:
        """A page of at most `limit`: after one model, before one, or from the start."""
        names, limit = list(self.models), _count(words, "limit", ANTHROPIC_PAGE)
        if before := words.get("before_id"):
            end = self._place(names, "before_id", before)
            chosen, has_more = names[max(end - limit, 0) : end], end > limit
        else:
            after = words.get("after_id")
            start = self._place(names, "after_id", after) + 1 if after else 0
            chosen, has_more = names[start : start + limit], len(names) > start + limit
        data = [self._anthropic(self.models[name]) for name in chosen]
        first, last = (chosen[0], chosen[-1]) if chosen else (None, None)
        return {"data": data, "has_more": has_more, "first_id": first, "last_id": last}

    def _place(self, names: Sequence[str], word: str, name: str) -> int:
        if name not in self.models:
            raise InvalidRequest(f"{word} {name[:200]!r} is no model of this list.", param=word)
        return names.index(name)

    def _gemini_page(self, words: Mapping[str, str]) -> Json:
        names, limit = list(self.models), _count(words, "pageSize", GEMINI_PAGE)
        token = words.get("pageToken", "0")
        if not token.isdecimal() or len(token) > 9:
            raise InvalidRequest("pageToken is not one of this list.", param="pageToken")
        start = int(token)
        page: Json = {"models": [self._gemini(self.models[name]) for name in names[start : start + limit]]}
        return page | ({"nextPageToken": str(start + limit)} if start + limit < len(names) else {})

    def _openai(self, endpoint: Endpoint) -> Json:
        created_s = self._created_s
        return {"id": endpoint.model, "object": "model", "created": created_s, "owned_by": endpoint.provider}

    def _anthropic(self, endpoint: Endpoint) -> Json:
        return {
            "type": "model", "id": endpoint.model, "display_name": endpoint.model, "created_at": NEVER_SAID,
            "lifecycle": "active",
        }  # fmt: skip

    def _gemini(self, endpoint: Endpoint) -> Json:
        found: Json = {"name": f"models/{endpoint.model}", "version": "", "displayName": endpoint.model}
        if tokens := self._context_tokens.get(endpoint.model):
            found["inputTokenLimit"] = tokens
        return found | {"supportedGenerationMethods": ["generateContent", "countTokens", "streamGenerateContent"]}

    def _openrouter(self, endpoint: Endpoint) -> Json:
        name, context = endpoint.model, self._context_tokens.get(endpoint.model)
        return {
            "id": name,
            "canonical_slug": name.partition(":")[0],
            "name": name,
            "created": self._created_s,
            "context_length": context,
            "architecture": {"modality": None, "input_modalities": ["text"], "output_modalities": ["text"]},
            "pricing": pricing(endpoint.price) if endpoint.provider != LADDERS else VARYING,
            "top_provider": {"context_length": context, "max_completion_tokens": None, "is_moderated": False},
            "per_request_limits": None,
            "supported_parameters": list(SAID_EVERYWHERE),
            "default_parameters": None,
            "supported_voices": None,
            "links": {"details": f"/api/v1/models/{name}/endpoints"},
        }


VARYING: Final[Json] = {"prompt": "-1", "completion": "-1"}
"""OpenRouter's word for a name behind which several models stand: it has no price of its own."""

ENTRIES: Final[Mapping[str, Callable[[Listings, Endpoint], Json]]] = {
    "openai": Listings._openai,
    "anthropic": Listings._anthropic,
    "gemini": Listings._gemini,
    "openrouter": Listings._openrouter,
}


def pricing(price: Price | None) -> Json:
    """A price as OpenRouter writes it: USD per token, image, request or search, as text; long prompts as overrides."""
    if price is None:
        return {"prompt": "0", "completion": "0"}
    found: Json = _rates(price.rates)
    if price.tiers:
        found["overrides"] = [
            {"min_prompt_tokens": tier.input_tokens_above}
            | {name: text for name, text in _rates(tier.rates).items() if name in IN_OVERRIDES}
            for tier in price.tiers
        ]
    return found


IN_OVERRIDES: Final = frozenset(
    ("prompt", "completion", "input_cache_read", "input_cache_write", "input_cache_write_1h", "audio")
)


def _rates(rates: Rates) -> dict[str, str]:
    kinds = rates.kinds or KindRates()
    stated = {
        "prompt": rates.input,
        "completion": rates.output,
        "input_cache_read": rates.cache_read,
        "input_cache_write": rates.cache_creation,
        "input_cache_write_1h": rates.cache_creation_1h,
        "internal_reasoning": rates.reasoning,
        "request": rates.request,
        "web_search": rates.web_search,
        "image_output": rates.image,
        "image_token": kinds.image_input,
        "audio": kinds.audio_input,
        "audio_output": kinds.audio_output,
        "input_audio_cache": kinds.audio_cache_read,
    }
    return {name: format_unit_price(rate) for name, rate in stated.items() if rate is not None}


def _words(query: str) -> dict[str, str]:
    try:
        return {name: values[-1] for name, values in parse_qs(query, max_num_fields=WORDS_MAX).items()}
    except ValueError:
        raise InvalidRequest(f"The address has more than {WORDS_MAX} words behind its question mark.") from None


def _count(words: Mapping[str, str], name: str, default: int) -> int:
    """A size of a page, cut to PAGE_MAX. Raises InvalidRequest for what is no number of them."""
    text = words.get(name, str(default))
    if not text.isdecimal() or len(text) > 9 or not int(text):
        raise InvalidRequest(f"{name} must be a number from 1 to {PAGE_MAX}.", param=name)
    return min(int(text), PAGE_MAX)
