"""Every error a caller can see: one family, one JSON shape.

TidegateError                     anything of ours, also off the wire (exit code 1, one line)
├── ConfigError                   the installation cannot start as configured
├── LedgerError                   a ledger that cannot be read or written
├── CatalogError                  facts that contradict themselves or are missing
├── AccountsError                 accounts that cannot be read, or a wish they cannot grant
│   └── QuotaStoreError           whoever grants slices of quotas cannot be reached
└── GatewayError                  becomes an HTTP reply; status and code sit on the class
    ├── InvalidRequest            400  malformed body or field
    ├── Unauthenticated           401  no key, or one that is not valid
    ├── PaymentRequired           402  a money quota is used up; the text names it
    ├── Forbidden                 403  the key may not call this model, or not from there
    ├── ModelNotFound             404  no route serves the model
    ├── PriceUnknown              404  a route exists, but nobody knows its price
    ├── NotAvailable              404  no endpoint of the model may serve this call: a policy, or the request's own word
    ├── PathNotFound              404
    ├── MethodNotAllowed          405
    ├── RequestTimeout            408  the caller was too slow
    ├── PayloadTooLarge           413
    ├── UnsupportedEncoding       415
    ├── TooEarly                  425  sent before the TLS handshake was over: it may be a replay
    ├── QuotaExceeded             429  a rate is used up; the text names it
    ├── HeadersTooLarge           431
    ├── InternalError             500
    ├── ClientGone                499  never sent: what the row says when the caller left
    ├── UpstreamError             502  the provider failed or spoke nonsense
    ├── UpstreamRefusal           400  or another status of the provider's own: its word on the caller's request
    ├── UpstreamRejected          502  the provider refused our credentials
    ├── Unavailable               503  draining, or the ledger cannot be written
    ├── NotCached                 504  the caller wanted a kept answer, and there is none
    └── UpstreamTimeout           504
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Any, ClassVar


class TidegateError(Exception):
    """Base of everything this project raises on purpose. The text says what was seen and what to do."""


class ConfigError(TidegateError):
    """The configuration cannot be used; the text names the setting."""


class LedgerError(TidegateError):
    """A ledger cannot be read or written; the text names the file."""


class CatalogError(TidegateError):
    """Catalog facts are missing or contradict each other; the text names the entry."""


class AccountsError(TidegateError):
    """Accounts cannot be read or written, or what is asked of them contradicts itself; the text names the entry."""


class QuotaStoreError(AccountsError):
    """Whoever grants slices of quotas cannot be reached."""


class GatewayError(TidegateError):
    """An error that becomes an HTTP reply.

    `status`: HTTP status. `code`: the machine-readable word, also the row's `error_type`.
    `kind`: OpenAI's `error.type`. `param`: the offending field, where there is one. `words`: the text in other
    languages (`core/error_words.py`), where whoever raises it has better ones than its code's.
    """

    status: int = 500
    code: ClassVar[str] = "internal_error"
    kind: str = "api_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        words: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.words = words or {}


class InvalidRequest(GatewayError):
    status, code, kind = 400, "invalid_request", "invalid_request_error"


class Unauthenticated(GatewayError):
    status, code, kind = 401, "invalid_api_key", "authentication_error"


class PaymentRequired(GatewayError):
    status, code, kind = 402, "insufficient_quota", "insufficient_quota"


class Forbidden(GatewayError):
    status, code, kind = 403, "forbidden", "permission_error"


class ModelNotFound(GatewayError):
    status, code, kind = 404, "model_not_found", "invalid_request_error"

    def __init__(self, model: str, known: Collection[str]) -> None:
        near = difflib.get_close_matches(model, known, n=2)
        mend = f"Did you mean {' or '.join(near)}?" if near else "GET /v1/models lists those that are served."
        zh = f"你是不是想用 {' 或 '.join(near)}？" if near else "可通过 GET /v1/models 查看可用模型。"
        words = {"zh": f"没有可用的线路提供模型 {model[:200]!r}。{zh}"}
        super().__init__(f"No route serves model {model[:200]!r}. {mend}", param="model", words=words)


class PriceUnknown(GatewayError):
    status, code, kind = 404, "price_unknown", "invalid_request_error"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"Model {model!r} has a route but no price, and an unpriced call is never made. "
            "Set a price on its endpoint in the configuration, or run `tidegate catalog check`.",
            param="model",
        )


class NotAvailable(GatewayError):
    """Endpoints serve the model, and none may serve this call.

    availability: OpenRouter's `code` and `excluded_by`, which its body carries.
    """

    status, code, kind = 404, "no_endpoints", "invalid_request_error"

    def __init__(self, message: str, *, availability: dict[str, Any], param: str | None = "model") -> None:
        super().__init__(message, param=param)
        self.availability = availability


class PathNotFound(GatewayError):
    status, code, kind = 404, "path_not_found", "invalid_request_error"


class MethodNotAllowed(GatewayError):
    status, code, kind = 405, "method_not_allowed", "invalid_request_error"


class RequestTimeout(GatewayError):
    status, code, kind = 408, "request_timeout", "invalid_request_error"


class PayloadTooLarge(GatewayError):
    status, code, kind = 413, "payload_too_large", "invalid_request_error"


class UnsupportedEncoding(GatewayError):
    status, code, kind = 415, "unsupported_encoding", "invalid_request_error"


class TooEarly(GatewayError):
    status, code, kind = 425, "too_early", "invalid_request_error"


class QuotaExceeded(GatewayError):
    status, code, kind = 429, "rate_limit_exceeded", "rate_limit_error"


class HeadersTooLarge(GatewayError):
    status, code, kind = 431, "headers_too_large", "invalid_request_error"


class ClientGone(GatewayError):
    status, code, kind = 499, "client_gone", "api_error"


class InternalError(GatewayError):
    status, code, kind = 500, "internal_error", "api_error"


class UpstreamError(GatewayError):
    status, code, kind = 502, "upstream_error", "api_error"


class UpstreamRefusal(GatewayError):
    """A provider's word on the caller's own request, in its own status: 400, 404, 429 and their like."""

    status, code, kind = 400, "upstream_refusal", "invalid_request_error"

    def __init__(self, status: int, provider: str, message: str) -> None:
        super().__init__(message or f"Provider {provider} answered HTTP {status}.")
        self.status = status
        self.kind = "rate_limit_error" if status == 429 else type(self).kind


class UpstreamRejected(GatewayError):
    status, code, kind = 502, "upstream_rejected_credentials", "api_error"


class Unavailable(GatewayError):
    status, code, kind = 503, "unavailable", "api_error"


class NotCached(GatewayError):
    status, code, kind = 504, "not_cached", "invalid_request_error"


class UpstreamTimeout(GatewayError):
    status, code, kind = 504, "upstream_timeout", "api_error"


def error_body(error: GatewayError, *, provider_name: str = "") -> dict[str, Any]:
    """The one error shape: what OpenAI's SDKs read (`message`, `type`, `param`, `code`) plus `metadata`."""
    metadata: dict[str, Any] = {"error_type": error.code}
    if provider_name:
        metadata["provider_name"] = provider_name
    body: dict[str, Any] = {
        "message": error.message,
        "type": error.kind,
        "param": error.param,
        "code": error.code,
        "metadata": metadata,
    }
    if isinstance(error, NotAvailable):
        body["availability"] = error.availability
    return {"error": body}
