"""Counting tokens for callers whose model is served in another dialect: here, in the caller's own shape.

The request is encoded for the provider as a call would be, so what cannot be said there is refused here too; the texts
in it are counted as `gateway/estimate.py` does. A provider of the caller's dialect that has no such path is stood in
for in the same way. Nothing is generated and nothing is charged, but the row is written.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from tidegate.core.errors import GatewayError, UpstreamError
from tidegate.gateway.estimate import estimate_usage
from tidegate.gateway.exchange import Exchange
from tidegate.gateway.http import JSON
from tidegate.gateway.meter import NOTHING_SPENT
from tidegate.wire.anthropic_ask import decode_request
from tidegate.wire.anthropic_head import token_count_body
from tidegate.wire.gemini_count import decode_count, encode_count_reply

if TYPE_CHECKING:
    from tidegate.gateway.table import Serving
    from tidegate.wire.conversation import Ask
    from tidegate.wire.dialect import Head

NOT_SERVED: Final = frozenset((404, 405, 501))
"""How a provider says that it has no path to count at."""


class Counting(NamedTuple):
    """How a dialect asks for a count, and how it is told one."""

    decode: "Callable[[bytes], Ask]"
    reply: Callable[[int], bytes]


COUNTINGS: Final = {
    "anthropic": Counting(decode_request, token_count_body),
    "gemini": Counting(decode_count, encode_count_reply),
}


class CountExchange(Exchange):
    """One request for a count."""

    _asked = b""  # the request, for as long as it may have to be counted here
    _counted = b""  # the reply, where it was

    def _find_way(self, head: "Head", serving: "Serving") -> None:
        self._asked, self._counted = self.request.body, b""
        if serving.dialect is self.operation.dialect:
            super()._find_way(head, serving)
        else:
            self._count(serving)

    def _forward(self) -> None:
        if self._counted:
            self._tell()
        else:
            super()._forward()

    def _end_of_reply(self, body: bytes) -> None:
        if self.upstream_status not in NOT_SERVED:
            super()._end_of_reply(body)
            return
        assert self.serving is not None
        error: GatewayError = UpstreamError(f"the provider counts no tokens (HTTP {self.upstream_status})")
        self._end_attempt(error, NOTHING_SPENT)
        try:
            self._count(self.serving)
        except GatewayError as refused:
            self.refuse(refused)
            return
        self._tell()

    def _count(self, serving: "Serving") -> None:
        """Raises InvalidRequest for what the provider of this model could not be asked."""
        counting = COUNTINGS[self.operation.dialect.name]
        encoded = serving.dialect.encode_request(counting.decode(self._asked), serving.upstream_model, serving.quirks)
        self._counted = counting.reply(estimate_usage(encoded.body, 0, serving.upstream_model).input_tokens)

    def _tell(self) -> None:
        self._asked, self.content_type = b"", JSON
        self.body = [self._counted]
        if not self.client_gone:
            self.status = 200
        self._settle(NOTHING_SPENT)
