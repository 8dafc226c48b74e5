"""Every target by its name, and what each begins with."""

from collections.abc import Callable
from typing import NamedTuple

from fuzz import http, wire


class Target(NamedTuple):
    """run: raises AssertionError, or anything else that is not an error of ours. seeds: inputs to begin with."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


TARGETS = {
    "listener": Target(http.listener, http.listener_seeds),
    "upstream": Target(http.upstream, http.upstream_seeds),
    "sse": Target(wire.sse, wire.sse_seeds),
    "requests": Target(wire.requests, wire.request_seeds),
    "streams": Target(wire.streams, wire.stream_seeds),
    "replies": Target(wire.replies, wire.reply_seeds),
}
