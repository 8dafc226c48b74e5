"""The row: one authenticated call, refusals included; and the attempts it took.

Names follow the OpenTelemetry GenAI registry without its prefix, units last. Journal, Parquet, SQL and docs are
derived from these structs by `ledger/schema.py`; the text of each column stands here, once. A label is what a sampled
call was about: it comes later than its row, as a record of its own, and never holds the text.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

CostBasis = Literal["provider_reported", "metered", "estimated_partial", "unknown"]
Count = Annotated[int, Meta(ge=0)]


def column(group: str, text: str) -> Meta:
    """The documentation of a column: its group in the reference, and its sentence."""
    return Meta(description=text, extra={"group": group})


class TaskTag(msgspec.Struct, frozen=True, kw_only=True):
    """One task label: a taxonomy path and its confidence in parts per million."""

    path: str
    confidence_ppm: Annotated[int, Meta(ge=0, le=1_000_000)]


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call. None means that the source lacks the value; zero means zero."""

    generation_id: Annotated[str, column("identity", "UUIDv7 of the call; carries gateway and worker")]
    ts: Annotated[int, column("identity", "arrival of the request, microseconds since 1970-01-01 UTC")]
    source_id: Annotated[str, column("identity", "where the row comes from: `own`, or the name of an import")]
    request_id: Annotated[str | None, column("identity", "the caller's `x-request-id`, else the generation id")] = None
    session_id: Annotated[str | None, column("identity", "the caller's conversation, where it names one")] = None
    gateway_id: Annotated[str | None, column("identity", "the gateway that wrote the row")] = None
    segment_id: Annotated[str | None, column("identity", "the journal segment that holds the row")] = None
    segment_seq: Annotated[int | None, column("identity", "position of the outcome in its segment, from 0")] = None

    tenant_id: Annotated[str | None, column("who", "the account that pays")] = None
    project_id: Annotated[str | None, column("who", "the project inside the account")] = None
    key_id: Annotated[str | None, column("who", "the API key, by id; never the key")] = None
    user_hash: Annotated[str | None, column("who", "HMAC of tenant and the request's `user`, under a secret")] = None
    app: Annotated[
        str | None, column("who", "the calling application (`X-Title`, else the host of `HTTP-Referer`)")
    ] = None
    billing_country: Annotated[str | None, column("who", "ISO 3166 alpha-2 of the account's billing address")] = None
    ip_country: Annotated[str | None, column("who", "ISO 3166 alpha-2 where the caller's address is registered")] = None

    operation_name: Annotated[str | None, column("what", "`chat`, `embeddings`, ...")] = None
    dialect: Annotated[str | None, column("what", "API dialect the caller spoke, e.g. `openai-chat`")] = None
    request_model: Annotated[str | None, column("what", "model as asked")] = None
    response_model: Annotated[str | None, column("what", "model as served, by its catalog slug")] = None
    model_variant: Annotated[
        str | None, column("what", "variant of the model, e.g. `free`; empty for the standard one")
    ] = None
    provider_name: Annotated[str | None, column("what", "provider that answered")] = None
    endpoint_id: Annotated[str | None, column("what", "endpoint that answered: model, provider, region")] = None
    endpoint_region: Annotated[str | None, column("what", "region of the endpoint")] = None
    route_reason: Annotated[str | None, column("what", "why this endpoint")] = None
    attempt_count: Annotated[Count | None, column("what", "attempts dispatched for the call")] = None

    is_stream: Annotated[bool | None, column("shape", "the caller asked for a stream")] = None
    is_cancelled: Annotated[bool | None, column("shape", "the caller left before the end")] = None
    is_byok: Annotated[bool | None, column("shape", "the caller's own provider key paid upstream")] = None
    is_cached: Annotated[
        bool | None,
        column("shape", "answered from a cache of ours, or with an identical call in flight; our own: usage 0"),
    ] = None
    status_code: Annotated[
        int | None, column("shape", "HTTP status of the reply; 499 where the caller left before one")
    ] = None
    finish_reason: Annotated[
        str | None, column("shape", "`stop`, `length`, `tool_calls`, `content_filter`, `error`")
    ] = None
    error_type: Annotated[str | None, column("shape", "machine-readable error code; null where all went well")] = None
    tools_offered: Annotated[Count | None, column("shape", "tools in the request")] = None
    tool_calls: Annotated[Count | None, column("shape", "tool calls in the answer")] = None

    usage_input_tokens: Annotated[Count | None, column("usage", "prompt tokens, cached ones included")] = None
    usage_output_tokens: Annotated[Count | None, column("usage", "completion tokens, reasoning included")] = None
    usage_cache_read_input_tokens: Annotated[
        Count | None, column("usage", "part of input: read from the provider's cache")
    ] = None
    usage_cache_creation_input_tokens: Annotated[
        Count | None, column("usage", "part of input: written to the provider's cache")
    ] = None
    usage_reasoning_output_tokens: Annotated[Count | None, column("usage", "part of output: reasoning")] = None
    images: Annotated[Count | None, column("usage", "images billed")] = None
    audio_input_s: Annotated[Count | None, column("usage", "seconds of audio in, as billed")] = None
    audio_output_s: Annotated[Count | None, column("usage", "seconds of audio out, as billed")] = None
    video_output_s: Annotated[Count | None, column("usage", "seconds of video out, as billed")] = None
    requests: Annotated[Count | None, column("usage", "inferences billed")] = None

    cost_nano_usd: Annotated[int | None, column("money", "charged to the tenant, nano-USD")] = None
    upstream_cost_nano_usd: Annotated[
        int | None, column("money", "what the provider charges for all attempts, nano-USD")
    ] = None
    cost_basis: Annotated[
        CostBasis | None, column("money", "`provider_reported`, `metered`, `estimated_partial` or `unknown`")
    ] = None
    price_id: Annotated[str | None, column("money", "the dated price the row was charged at")] = None
    operator_loss_nano_usd: Annotated[
        int | None,
        column("money", "what the call cost above its reservation, which the operator bears; null where nothing"),
    ] = None

    duration_us: Annotated[int | None, column("time", "request arrival to last byte, microseconds")] = None
    time_to_first_chunk_us: Annotated[
        int | None, column("time", "request arrival to first answer byte, microseconds")
    ] = None
    overhead_us: Annotated[
        int | None,
        column(
            "time", "the gateway's own part of the time before dispatch and after the last upstream byte, microseconds"
        ),
    ] = None

    language: Annotated[str | None, column("labels", "BCP 47 language of the user's turns; sampled, asynchronous")] = (
        None
    )
    task_tags: Annotated[list[TaskTag] | None, column("labels", "task paths with confidence in parts per million")] = (
        None
    )
    tag_sample_weight: Annotated[int | None, column("labels", "how many calls this labelled one stands for")] = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One dispatch to one endpoint. A fallback, a reconnect or a cascade rung is an attempt of its own."""

    generation_id: Annotated[str, column("identity", "the call")]
    attempt_no: Annotated[int, column("identity", "1 for the first")]
    ts: Annotated[int, column("identity", "dispatch, microseconds since 1970-01-01 UTC")]
    endpoint_id: Annotated[str, column("what", "endpoint tried")]
    rung: Annotated[
        int, column("what", "rung of a ladder, from 1; below 0 the judge of that rung; 0 where there is none")
    ] = 0
    status_code: Annotated[int | None, column("shape", "HTTP status of the provider; null if none came")] = None
    error_type: Annotated[str | None, column("shape", "why the attempt failed; null if it served")] = None
    usage_input_tokens: Annotated[Count | None, column("usage", "as in the row")] = None
    usage_output_tokens: Annotated[Count | None, column("usage", "as in the row")] = None
    usage_cache_read_input_tokens: Annotated[Count | None, column("usage", "as in the row")] = None
    usage_cache_creation_input_tokens: Annotated[Count | None, column("usage", "as in the row")] = None
    usage_reasoning_output_tokens: Annotated[Count | None, column("usage", "as in the row")] = None
    upstream_cost_nano_usd: Annotated[int | None, column("money", "what the provider charges for this attempt")] = None
    duration_us: Annotated[int | None, column("time", "dispatch to last byte, microseconds")] = None
    time_to_first_chunk_us: Annotated[int | None, column("time", "dispatch to first answer byte, microseconds")] = None


class Label(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a sampled call was about: the row's label columns, written after the row and never into it."""

    generation_id: Annotated[str, column("identity", "the call that is labelled; at most one label each")]
    ts: Annotated[int, column("identity", "the row's `ts`, so that a late label falls on its call's own day")]
    labeller: Annotated[
        str | None, column("labels", "who labelled: `local:` and the classifier's version, or `model:` and a model")
    ] = None
    language: Annotated[
        str | None, column("labels", "as in the row: `und` where the text gives none away, `zxx` where it is all code")
    ] = None
    task_tags: Annotated[
        list[TaskTag] | None,
        column("labels", "as in the row, strongest first; empty where nothing fits, null if unasked"),
    ] = None
    tag_sample_weight: Annotated[
        Annotated[int, Meta(ge=1)] | None, column("labels", "as in the row: of how many calls one was labelled")
    ] = None


class Intent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="intent"):
    """Journal: written before an attempt's bytes leave, with all that a recovered row needs."""

    generation_id: str
    attempt_no: int
    ts: int
    endpoint_id: str
    row: Row  # what was known at dispatch


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="outcome"):
    """Journal: written before the last byte goes to the caller."""

    row: Row
    attempts: tuple[Attempt, ...] = ()


class Labelled(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="label"):
    """Journal: a label, in a segment of the labeller's own."""

    label: Label


Record = Intent | Outcome | Labelled


def columns_of(struct: type[msgspec.Struct]) -> list[tuple[str, Any, str, str]]:
    """(name, type, group, text) of each column of Row, Attempt or Label, in order."""
    found = []
    for field in msgspec.structs.fields(struct):
        base, meta = field.type.__origin__, field.type.__metadata__[-1]
        found.append((field.name, base, meta.extra["group"], meta.description))
    return found
