"""The gateway's own HTTP interface as OpenAPI 3.1, made from what serves it: `docs/reference/openapi.json`.

Paths are those of the table of operations, of the gateway's own pages and of the console's routes; a page that nobody
has said anything of here stops the making. Schemas are those of the structs that are read and written, or, where a
reply is no struct, what is common to replies made here for the purpose. Bodies of calls belong to their dialects: only
what the gateway decides by is described, everything else passes.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import console_operations
import msgspec
from dialect_probes import CALLERS
from schemas import Json, head_schema, inferred, named

import tidegate
from tidegate.config import Config
from tidegate.console.app import create_app
from tidegate.console.feedback import Feedback, FeedbackReply
from tidegate.console.generation import Generation, GenerationReply
from tidegate.core.errors import ClientGone, GatewayError, MethodNotAllowed, NotAvailable, NotCached, UpstreamRefusal
from tidegate.core.facts import Endpoint
from tidegate.core.price import KindRates, Price, Rates
from tidegate.gateway import operation as operations
from tidegate.gateway.counting import COUNTINGS
from tidegate.gateway.error_shapes import error_at
from tidegate.gateway.local import LocalReply
from tidegate.gateway.models import PAGE_MAX, Listings, dialect_of
from tidegate.gateway.operation import OPERATIONS, ROOTS, Operation, dialect_at
from tidegate.gateway.replies import PASSED_THROUGH
from tidegate.route.explain import Explanation
from tidegate.wire.anthropic_head import _Request as MessagesHead
from tidegate.wire.media import KINDS, Kind
from tidegate.wire.media import _Asked as MediaHead
from tidegate.wire.openai_chat_head import RequestHead
from tidegate.wire.openai_responses_head import _Wire as ResponsesHead

SCHEMAS: Final = "#/components/schemas/"
RESPONSES: Final = "#/components/responses/"
TEXT: Final[Json] = {"type": "string"}
MODEL: Final = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1},
                "description": "A model's name; it may hold slashes, escaped or not."}  # fmt: skip
SECURITY: Final = [{"bearer": []}, {"x-api-key": []}, {"x-goog-api-key": []}]
SECURITY_SCHEMES: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
    **console_operations.SECURITY_SCHEMES,
}
HEADERS: Final[Json] = {
    "x-generation-id": {"description": "the call's id in the ledger", "schema": TEXT},
    "x-request-id": {"description": "the caller's own id of the request, else the call's", "schema": TEXT},
    "x-tidegate-dropped-parameters": {
        "description": "fields of the request that the provider could not be told, separated by commas",
        "schema": TEXT,
    },
}
HEADS: Final = {
    "openai-chat": RequestHead,
    "openai-completions": RequestHead,
    "openai-embeddings": RequestHead,
    "openai-responses": ResponsesHead,
    "anthropic": MessagesHead,
}
"""What the gateway reads of a request, by dialect; media have a head of their own."""

EXAMPLES: Final[Json] = {name: base for name, (base, _) in CALLERS.items()} | {
    "openai-completions": {"model": "m", "prompt": "look"},
    "openai-embeddings": {"model": "m", "input": "look"},
    "images/generations": {"model": "m", "prompt": "a tide gate"},
    "audio/speech": {"model": "m", "input": "look", "voice": "ash"},
    "moderations": {"model": "m", "input": "look"},
    "rerank": {"model": "m", "query": "tide", "documents": ["gate", "meter"]},
}
DECIDING: Final = {
    "openai-chat": {"choices": {"type": "array"}},
    "openai-completions": {"choices": {"type": "array"}},
    "openai-responses": {"output": {"type": "array"}},
    "openai-embeddings": {"data": {"type": "array"}},
    "openai-images": {"data": {"type": "array"}},
    "openai-moderations": {"results": {"type": "array"}},
    "anthropic": {"type": {"const": "message"}, "content": {"type": "array"}},
}
"""The members without which a whole reply is none of its dialect; the others are the provider's."""

FORMS: Final = ("images/edits", "images/variations")  # as are all requests with sound
STREAMLESS: Final = ("openai-embeddings", "openai-moderations", "rerank")


def render() -> str:
    return msgspec.json.format(msgspec.json.encode(document()), indent=1).decode() + "\n"


def document() -> Json:
    paths: Json = {path: {"post": call(path, operation)} for path, operation in OPERATIONS.items()}
    paths |= {path: {"post": call(path, operation)} for path, operation in gemini_calls()}
    paths |= dict(models_pages()) | dict(shelf_pages()) | dict(own_pages()) | dict(console_pages())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": tidegate.__version__,
            "description": "Generated by tools/gendocs.py (`make docs`). In words: docs/reference/http.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8080"}],
        "paths": paths,
        "components": {
            "schemas": dict(struct_schemas()) | dict(error_schemas()),
            "responses": dict(error_responses()),
            "headers": HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


# -- calls of models ------------------------------------------------------------------------------------------------


def gemini_calls() -> Iterator[tuple[str, Operation]]:
    """Google's paths under the version that its SDKs use."""
    for method in operations._GEMINI_NAMES:
        found = operations.operation_of(f"/v1beta/models/MODEL:{method}", b"")
        assert found is not None
        yield f"/v1beta/models/{{model}}:{method}", found


def call(path: str, operation: Operation) -> Json:
    """One way to call a model."""
    kind = kind_at(path)
    found: Json = {
        "operationId": operation_id("post", path),
        "tags": [operation.dialect.name],
        "summary": f"{operation.name} in the dialect {operation.dialect.name}",
        "security": SECURITY,
        "requestBody": {"required": True, "content": request_content(operation, kind)},
        "responses": {
            "200": {
                "description": "The answer." if operation.counts_only else "The answer, whole or streamed.",
                "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS},
                "content": reply_content(operation, kind),
            }
        }
        | call_errors(path),
    }
    if operation.model:
        found["parameters"] = [MODEL]
        if operation.is_stream:
            wants_events = {"name": "alt", "in": "query", "schema": {"enum": ["sse"]}, "description": "events"}
            found["parameters"] = [MODEL, wants_events]
    return found


def kind_at(path: str) -> Kind | None:
    return next((kind for kind in KINDS for root, _ in ROOTS if path == root + kind.path), None)


def request_content(operation: Operation, kind: Kind | None) -> Json:
    name = operation.dialect.name
    if kind is None:
        schema = {"type": "object"} if operation.model else {"$ref": f"{SCHEMAS}{name}-request"}
        example = {member: value for member, value in EXAMPLES[name].items() if member != "generationConfig"}
        return {"application/json": {"schema": schema, "example": example}}
    schema = head_schema(MediaHead)
    if not kind.default_model:
        schema["properties"]["model"], schema["required"] = TEXT, ["model"]
    if kind.hears or kind.path in FORMS:
        file = "file" if kind.hears else "image"
        schema["properties"][file] = {"type": "string", "format": "binary"}
        return {"multipart/form-data": {"schema": schema | {"required": [*schema.get("required", ()), file]}}}
    return {"application/json": {"schema": schema, "example": EXAMPLES[kind.path]}}


def reply_content(operation: Operation, kind: Kind | None) -> Json:
    name, events = operation.dialect.name, {"text/event-stream": {"schema": {"description": "Events of the dialect."}}}
    if operation.explains:
        return {"application/json": {"schema": {"$ref": f"{SCHEMAS}Explanation"}}}
    if operation.counts_only:
        reply = msgspec.json.decode(COUNTINGS[name].reply(1))
        return {"application/json": {"schema": inferred([reply])}}
    if operation.is_stream:
        return {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}} | events
    if kind is not None and kind.speaks:
        return {"audio/*": {"schema": {"type": "string", "format": "binary"}}} | events
    members = DECIDING.get(name, {})
    whole: Json = {"type": "object", "properties": dict(members), "required": list(members)}
    if operation.is_openrouter:
        cost = {"type": ["number", "null"], "description": "USD"}
        whole["properties"]["usage"] = {"type": ["object", "null"], "properties": {"cost": cost}}
    found: Json = {"application/json": {"schema": whole}}
    if kind is not None and kind.hears:
        found["text/*"] = {"schema": TEXT}
    return found if name in STREAMLESS or operation.model else found | events


# -- pages ----------------------------------------------------------------------------------------------------------


def models_pages() -> Iterator[tuple[str, Json]]:
    """Lists of models and one of them, by the path and, for Anthropic's clients, by a header."""
    version = {"name": "anthropic-version", "in": "header", "schema": TEXT, "description": "asks for Anthropic's list"}
    for root in ("/v1", "/api/v1", "/v1beta"):
        path = f"{root}/models"
        for shown, sample, parameters in ((path, path, []), (f"{path}/{{model}}", f"{path}/m", [MODEL])):
            asked = [{}] if root == "/v1beta" else [{}, {b"anthropic-version": b"2023-06-01"}]
            schemas = [listing_schema(sample, headers) for headers in asked]
            queries = [] if parameters else page_words([dialect_of(path, headers) for headers in asked])
            headers = [version] if len(asked) > 1 else []
            body = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
            errors = local_errors(sample)
            if len(asked) > 1:  # what is wrong with the words of a page, or with a name, is told as the list would be
                ours = [{"$ref": f"{SCHEMAS}Error-{shape}"} for shape in (shape_at(sample), "anthropic")]
                wrong = {"400": "invalid_request", "404": "model_not_found"}
                errors |= {status: reply(text, {"anyOf": ours}) for status, text in wrong.items()}
            found = page(shown, "Models that are served.", body, errors)
            yield shown, {"get": found | {"parameters": [*parameters, *headers, *queries], "security": SECURITY}}


def shelf_pages() -> Iterator[tuple[str, Json]]:
    """Who serves a model, who serves anything, and who keeps nothing."""
    some = {"type": "array", "items": {"type": "object"}}
    model = {"type": "object", "properties": {"id": TEXT, "endpoints": some}, "required": ["id", "endpoints"]}
    named = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in ("author", "slug")]
    shelf = (
        ("models/{author}/{slug}/endpoints", "The endpoints of a model, with facts and live health.", model, named),
        ("providers", "Providers that serve something here.", some, []),
        ("endpoints/zdr", "Endpoints that are known to keep nothing.", some, []),
    )
    for root in ("/v1", "/api/v1"):
        for below, text, schema, parameters in shelf:
            path = f"{root}/{below}"
            body = {"type": "object", "properties": {"data": schema}, "required": ["data"]}
            found = page(path, text, body, local_errors(path))
            yield path, {"get": found | {"parameters": parameters, "security": SECURITY}}


def page_words(dialects: Iterable[str]) -> list[Json]:
    size: Json = {"type": "integer", "minimum": 1, "maximum": PAGE_MAX}
    known = {
        "anthropic": {"limit": size, "after_id": TEXT, "before_id": TEXT},
        "gemini": {"pageSize": size, "pageToken": {"type": "string", "pattern": "^[0-9]{1,9}$"}},
    }
    return [
        {"name": name, "in": "query", "schema": schema}
        for dialect in dialects
        for name, schema in known.get(dialect, {}).items()
    ]


def listing_schema(path: str, headers: Mapping[bytes, bytes]) -> Json:
    """What the lists of two models have in common: one of which everything is known, one of which nothing is."""
    rates = Rates(input=1, output=1, cache_read=1, cache_creation=1, reasoning=1, image=1, request=1,
                  cache_creation_1h=1, web_search=1,
                  kinds=KindRates(audio_input=1, image_input=1, audio_cache_read=1, audio_output=1))  # fmt: skip
    known = Endpoint(
        endpoint_id="e", provider="p", model="m", upstream_model="m", price=Price(price_id="x", rates=rates)
    )
    other = Endpoint(endpoint_id="f", provider="p", model="m", upstream_model="m")
    lists = [Listings({"m": known}, 0, {"m": 1}), Listings({"m": other}, 0, {}), Listings({}, 0, {})]
    pages = [made.page(path, b"", headers) for made in lists if made.models or not path.endswith("/m")]
    if "models" in path and dialect_of(path, headers) == "gemini" and not path.endswith("/m"):
        pages.append(Listings({"m": known, "n": known}, 0, {}).page(path, b"pageSize=1", headers))
    return inferred([msgspec.json.decode(body) for _, body in pages])


def own_pages() -> Iterator[tuple[str, Json]]:
    """The gateway's own pages, none of which needs a key."""
    ready: Json = {
        "type": "object",
        "properties": {
            "status": {"enum": ["ready", "not ready"]},
            "checks": {"type": "object", "additionalProperties": {"type": "boolean"}},
        },
        "required": ["status", "checks"],
    }
    healthy = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
    known = {
        "/healthz": page("/healthz", "The process lives.", healthy, {}),
        "/readyz": page("/readyz", "Calls can be served.", ready, {"503": reply("They cannot, and why.", ready)}),
        "/metrics": page("/metrics", "Figures of this worker.", TEXT, {}, "text/plain"),
    }
    for path in sorted(LocalReply.PATHS):
        yield path, {"get": known[path] | {"security": []}}


def topup_callback(path: str) -> Json:
    """Where payment providers call: in words of theirs, so neither body nor reply has a schema of ours."""
    channel = {"name": "channel", "in": "path", "required": True, "schema": TEXT, "description": "[topups.NAME]"}
    answers = {
        "200": {
            "description": "Taken, or told in the provider's own words that it was not.",
            "content": {"application/json": {}, "text/plain": {"schema": TEXT}},
        }
    } | local_errors(path)
    summary = "A payment provider's signed callback; its signature says who calls."
    said = {"tags": ["pages"], "summary": summary, "parameters": [channel], "responses": answers, "security": []}
    return {
        method: {"operationId": operation_id(method, path), **said} | ({"requestBody": {"content": {
            "application/json": {"schema": {}}, "application/x-www-form-urlencoded": {"schema": {}}}}}
            if method == "post" else {})
        for method in ("get", "post")
    }  # fmt: skip


def console_pages() -> Iterator[tuple[str, Json]]:
    """What the console serves and the gateway does not; each route by the name of what answers it."""
    by_id = {"name": "id", "in": "query", "required": True, "schema": TEXT, "description": "x-generation-id of a reply"}
    own = {status: said for status, said in local_errors("/").items() if int(status) >= 500}
    for route in create_app(Config()).routes:
        path, name = getattr(route, "path", ""), getattr(route, "name", "")
        if path in LocalReply.PATHS or name in ("operation", "console_page"):  # pages are for people
            continue
        if name == "generation":
            body = {"$ref": f"{SCHEMAS}GenerationReply"}
            found = page(path, "One call of this account.", body, local_errors(path))
            yield path, {"get": found | {"parameters": [by_id], "security": SECURITY}}
        elif name == "feedback":
            body = {"$ref": f"{SCHEMAS}FeedbackReply"}
            errors = local_errors(path)
            kept = {"201": reply("What was written down.", body)} | errors
            asked = {"required": True, "content": {"application/json": {"schema": {"$ref": f"{SCHEMAS}Feedback"}}}}
            said = {
                "operationId": operation_id("post", path),
                "tags": ["pages"],
                "summary": "Say what became of a call of this account.",
                "requestBody": asked,
                "responses": kept,
                "security": SECURITY,
            }
            yield path, {"post": said}
        elif name == "topup_callback":
            yield path, topup_callback(path)
        elif name == "start_page":
            yield path, {"get": page(path, "A page to look at.", TEXT, own, "text/html") | {"security": []}}
        else:
            raise SystemExit(f"tools/openapi.py: say what {path} ({name}) of the console answers")
    yield from console_operations.described(SCHEMAS, local_errors, operation_id)


def page(path: str, text: str, schema: Json, errors: Json, content_type: str = "application/json") -> Json:
    responses = {"200": reply(text, schema, content_type)} | errors
    return {"operationId": operation_id("get", path), "tags": ["pages"], "summary": text, "responses": responses}


def reply(text: str, schema: Json, content_type: str = "application/json") -> Json:
    return {"description": text, "content": {content_type: {"schema": schema}}}


def operation_id(method: str, path: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", path)
    return "_".join((method, *words)) if words else f"{method}_root"


# -- errors ---------------------------------------------------------------------------------------------------------

SHAPES: Final = {"openai": "/v1/x", "openrouter": "/api/v1/x", "anthropic": "/v1/messages", "gemini": "/v1beta/x"}
"""A path for each shape that an error can have."""


def shape_at(path: str) -> str:
    dialect = dialect_at(path.replace("{model}", "m"))
    if dialect == "openai-chat":
        return "openrouter" if path.startswith("/api/v1/") else "openai"
    return dialect


def all_errors() -> list[GatewayError]:
    """One of each that a caller can see, and a provider's refusal in each status that is passed on."""
    found: list[GatewayError] = [UpstreamRefusal(status, "p", "seen") for status in sorted(PASSED_THROUGH)]
    for kind in descendants(GatewayError):
        if kind not in (UpstreamRefusal, ClientGone):
            found.append(error := kind.__new__(kind))
            GatewayError.__init__(error, "seen")
            if isinstance(error, NotAvailable):
                error.availability = {"code": "constraint_filtered", "excluded_by": ["max_price"]}
    return sorted(found, key=lambda error: (error.status, error.code))


def descendants(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("tidegate."):
            yield child
            yield from descendants(child)


def error_schemas() -> Iterator[tuple[str, Json]]:
    """Each shape over all errors, with a field to blame and without; and a provider's own body, which is not ours."""
    for shape, path in SHAPES.items():
        bodies = []
        for error in all_errors():
            for param in (None, "model"):
                error.param = param
                bodies += [error_at(path, error), error_at(path, error, request_id="r", provider_name="p")]
        yield f"Error-{shape}", inferred([msgspec.json.decode(body) for body in bodies])
    for shape, ours in OURS.items():
        yield f"Error-{shape}-of-provider", {"type": "object", "not": named("error", ours)}


OURS: Final = {
    "openai": named("metadata", named("error_type", {"enum": sorted({error.code for error in all_errors()})})),
    "anthropic": {"type": "object", "required": ["error_type"]},
    "gemini": named("details", {"type": "array", "contains": named("domain", {"const": "tidegate"})}),
}
"""By what an error of ours is told from a provider's own, in the shapes in which that may be passed on."""


def call_errors(path: str) -> Json:
    """Every error that a call can end with."""
    return {str(status): {"$ref": f"{RESPONSES}call-{shape_at(path)}-{status}"} for status in codes_by_status()}


def local_errors(path: str) -> Json:
    """Those of pages that need a key: nobody else's errors are told there."""
    shape, codes = shape_at(path), codes_by_status(providers_too=False)
    return {str(status): {"$ref": f"{RESPONSES}page-{shape}-{status}"} for status in codes}


def codes_by_status(*, providers_too: bool = True) -> dict[int, list[str]]:
    """Our words for each status. Methods that a path does not take are not among its operations: no 405."""
    found: dict[int, list[str]] = {}
    for error in all_errors():
        is_of_calls = isinstance(error, NotCached) or error.code.startswith("upstream_")
        if not isinstance(error, MethodNotAllowed) and (providers_too or not is_of_calls):
            found.setdefault(error.status, []).append(error.code)
    return {status: sorted(set(codes)) for status, codes in found.items()}


def error_responses() -> Iterator[tuple[str, Json]]:
    """By kind of page, shape and status. A provider's word on a call may come in the provider's own body."""
    for shape in SHAPES:
        ours: Json = {"$ref": f"{SCHEMAS}Error-{shape}"}
        either: Json = {"anyOf": [ours, {"$ref": f"{SCHEMAS}Error-{shape}-of-provider"}]}
        for status, codes in codes_by_status().items():
            is_passed = status in PASSED_THROUGH and shape in OURS
            yield f"call-{shape}-{status}", reply(", ".join(codes), either if is_passed else ours)
        for status, codes in codes_by_status(providers_too=False).items():
            yield f"page-{shape}-{status}", reply(", ".join(codes), ours)


# -- schemas --------------------------------------------------------------------------------------------------------


def struct_schemas() -> Iterator[tuple[str, Json]]:
    for name, head in HEADS.items():
        yield f"{name}-request", head_schema(head)
    told = [GenerationReply, Feedback, FeedbackReply, Explanation, *console_operations.structs()]
    _, found = msgspec.json.schema_components(told, ref_template=f"{SCHEMAS}{{name}}")
    for kind in told_with(Generation):
        for field in msgspec.structs.fields(kind):
            if field.type is msgspec.Raw:  # money, digit for digit
                found[kind.__name__]["properties"][field.encode_name] = {"type": ["number", "null"]}
    for name, schema in sorted(found.items()):
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        yield name, console_operations.with_numbers(schema)


def told_with(*kinds: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """These structs, and those of the console that hold money as a number."""
    return [*kinds, *console_operations.MONEY]
