"""Settings of the response cache. They stand in `tidegate.toml` as `[cache]` and are part of `tidegate.config`.

Nothing is kept before a tenant is opted in: `[tenants.NAME]` `cache` says among whom its answers are shared.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Sharing = Literal["off", "key", "project", "tenant"]
"""Among whose calls an answer is shared; never beyond a tenant."""

MIB = 1024 * 1024


def _help(text: str) -> Meta:
    return Meta(description=text)


class Cache(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers kept in a worker's memory, and there alone, for identical calls of tenants that opted in."""

    calls: Annotated[
        Literal["repeatable", "any"],
        _help("`repeatable`: embeddings, and calls with temperature 0 or a seed; `any`: whatever their temperature"),
    ] = "repeatable"
    models: Annotated[
        tuple[str, ...], _help("models whose answers are kept, by the names callers use, `*` for any text; empty: all")
    ] = ()
    ttl_s: Annotated[
        Annotated[float, Meta(ge=0)], _help("how long an answer is given again; 0: only calls in flight are shared")
    ] = 300.0
    bytes_max: Annotated[
        Annotated[int, Meta(gt=0)],
        _help("answers in one worker's memory, those being written included; the least recently used goes first"),
    ] = 64 * MIB
    entry_bytes_max: Annotated[
        Annotated[int, Meta(gt=0)],
        _help("one answer; a longer one is not kept, and who is further behind a shared stream is let go"),
    ] = 4 * MIB
    coalesce: Annotated[
        bool, _help("a call that is identical to one in flight waits for that one's answer, and costs nothing")
    ] = True
