"""Settings of routing: policies, what the operator knows of endpoints, and how patient the gateway is.

They stand in `tidegate.toml` and are part of `tidegate.config`; `route/` reads them as plain values.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
Names = tuple[str, ...]


def _help(text: str) -> Meta:
    return Meta(description=text)


class PolicyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A named set of rules; all must hold. It binds where `[routing]`, a tenant, a project or a key names it.

    Countries are ISO 3166-1 alpha-2 codes or groups of them (`EU`, `EEA`, `GCC`, `ASEAN`, ...). A rule that needs a
    fact which nobody has stated excludes the endpoint.
    """

    data_classes: Annotated[
        Names, _help("binds calls of these data classes, and calls that state no class; empty: every call")
    ] = ()
    processing: Annotated[Names, _help("countries in which a call may be processed; all of an endpoint's must be")] = ()
    processing_not: Annotated[Names, _help("countries in which no part of a call may be processed")] = ()
    storage: Annotated[
        Names, _help("countries in which content may be stored; an endpoint that stores none passes")
    ] = ()
    storage_not: Annotated[Names, _help("countries in which no content may be stored")] = ()
    headquarters: Annotated[Names, _help("countries in which the provider may have its seat")] = ()
    headquarters_not: Annotated[Names, _help("countries in which the provider may not have its seat")] = ()
    providers: Annotated[Names, _help("providers or tags that may serve, `*` stands for any text")] = ()
    providers_not: Annotated[Names, _help("providers or tags that may not serve")] = ()
    models: Annotated[Names, _help("models that may serve, `*` stands for any text")] = ()
    models_not: Annotated[Names, _help("models that may not serve")] = ()
    no_training: Annotated[bool, _help("only where content is known not to be trained on")] = False
    retention_days_max: Annotated[
        Annotated[int, Meta(ge=0)] | None, _help("only where content is known to be gone after so many days")
    ] = None
    local_only: Annotated[bool, _help("only endpoints on the operator's own machines")] = False
    moderated: Annotated[
        bool | None, _help("true: only where the provider is known to filter content; false: only where it does not")
    ] = None


class FactsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the operator knows of a provider or an endpoint, for example from a contract; wins over the catalog."""

    processing: Annotated[Names | None, _help("countries or groups where calls are processed")] = None
    storage: Annotated[Names | None, _help("countries or groups where content is stored; `[]`: nowhere")] = None
    headquarters: Annotated[str | None, _help("country of the provider's seat")] = None
    trains: Annotated[bool | None, _help("whether it may train on content")] = None
    retention_days: Annotated[
        Annotated[int, Meta(ge=0)] | None, _help("days for which content is kept; 0: zero retention")
    ] = None
    quantization: Annotated[str | None, _help("`fp8`, `int4`, ... as OpenRouter names them")] = None
    context_tokens: Annotated[Annotated[int, Meta(gt=0)] | None, _help("tokens that it takes in all")] = None
    output_tokens_max: Annotated[Annotated[int, Meta(gt=0)] | None, _help("tokens that it writes at most")] = None
    parameters: Annotated[Names | None, _help("parameters of OpenAI's chat that it heeds, e.g. `tools`")] = None
    modalities: Annotated[Names | None, _help("what it reads: `text`, `image`, `audio`, `video`, `file`")] = None
    is_local: Annotated[bool | None, _help("on machines of your own; default: whether its address is of this one")] = (
        None
    )
    is_moderated: Annotated[bool | None, _help("whether it filters content by itself")] = None
    is_distillable: Annotated[bool | None, _help("whether its text may train other models")] = None


class Routing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the endpoints of a call are chosen, and what happens when one fails."""

    policies: Annotated[Names, _help("policies that bind every call: shipped ones, or yours of [policies.NAME]")] = ()
    projects: Annotated[dict[str, Names], _help("further policies, by project id")] = {}
    keys: Annotated[dict[str, Names], _help("further policies, by key id")] = {}
    data_class: Annotated[
        str, _help("class of calls that state none in `X-Tidegate-Data-Class`; empty: they count as every class")
    ] = ""
    local_country: Annotated[
        str, _help("country in which your own machines stand; without it no border rule lets local models serve")
    ] = ""
    affinity: Annotated[bool, _help("keep a conversation where its prompt is cached, while that is cheaper")] = True
    attempts_max: Annotated[
        Annotated[int, Meta(ge=1, le=20)],
        _help("attempts that one call may make, beside one on a fresh connection where a warm one was dead"),
    ] = 6
    attempts_s: Annotated[Positive, _help("after this long no further attempt of a call is begun")] = 120.0
    pauses_s: Annotated[
        Annotated[float, Meta(ge=0)],
        _help("how long one call may wait in all to ask endpoints again that failed it; 0: none is asked twice"),
    ] = 6.0
    first_byte_s: Annotated[
        Positive, _help("silence after which a call goes on to the next endpoint of its plan, where one is left")
    ] = 60.0
    retries_per_call: Annotated[
        Positive, _help("further attempts that all calls together may make, per call; a burst of 100 is always allowed")
    ] = 0.5
    failures_to_open: Annotated[
        Annotated[int, Meta(ge=1)], _help("failures in a row after which an endpoint is tried last")
    ] = 5
    open_s: Annotated[Positive, _help("how long; doubled up to sixteen times while probes fail")] = 5.0
