"""What is known of an endpoint beside its price: where it works, what it keeps, what it can do; why one is left out.

Every fact may be unknown. A rule that needs an unknown fact excludes the endpoint, and says which fact it missed.
"""

from typing import Final, Literal

import msgspec

from tidegate.core.facts import Endpoint, Weights

ExcludedBy = Literal[
    "geo", "data_region", "data_policy:zdr", "data_policy:training", "max_price", "context_length",
    "require_parameters", "quantization", "allowed_providers", "dialect", "price",
]  # fmt: skip
"""What kind of rule left an endpoint out, in OpenRouter's words; the last two are ours."""

AvailabilityCode = Literal[
    "model_not_found", "wrong_endpoint", "no_endpoints", "model_deprecated", "model_unavailable_upstream",
    "capacity_exhausted", "temporarily_unavailable", "region_restricted", "privacy_restricted", "constraint_filtered",
    "free_variant_ended",
]  # fmt: skip
"""Why nothing may serve a call, in OpenRouter's words (`error.availability.code`)."""

QUANTIZATIONS: Final = (
    *("int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown"),
)


class EndpointFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with what is known of it. Countries are ISO 3166-1 alpha-2.

    `tag`: its provider, with region or tier (`google-vertex/europe-west1`). `processing`: every country where a call
    may be processed; `storage`: where its content may be stored, empty where it is not stored at all. None: unknown.
    `headquarters`: of the provider; empty where unknown. `trains`, `retention_days`: as in `DataPolicy`; 0 days is
    zero retention. `quantization`: one of QUANTIZATIONS. `context_tokens`, `output_tokens_max`: 0 where unknown.
    `parameters`: those of OpenAI's chat that it heeds; `modalities`: what it reads. None: unknown.
    `is_local`: on the operator's own machines. `is_moderated`: the provider refuses content by a filter of its own.
    `is_distillable`: the model's maker lets its text train others. `name`: of the provider, as people write it.
    """

    endpoint: Endpoint
    tag: str
    name: str = ""
    processing: frozenset[str] | None = None
    storage: frozenset[str] | None = None
    headquarters: str = ""
    trains: bool | None = None
    retention_days: int | None = None
    quantization: str = "unknown"
    context_tokens: int = 0
    output_tokens_max: int = 0
    parameters: frozenset[str] | None = None
    modalities: frozenset[str] | None = None
    is_local: bool = False
    is_moderated: bool | None = None
    is_distillable: bool | None = None
    weights: Weights = "unknown"

    @property
    def is_zdr(self) -> bool | None:
        """Nothing of a call is kept when it is over; None where unknown."""
        return None if self.retention_days is None else self.retention_days == 0


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """Why an endpoint may not serve a call.

    `rule`: which rule, and whose (`policy eu-only: processing within EU`). `fact`: what was seen (`processed in US`).
    `is_unknown`: nothing was: the rule needs a fact that nobody has stated.
    """

    endpoint_id: str
    excluded_by: ExcludedBy
    rule: str
    fact: str
    is_unknown: bool = False
