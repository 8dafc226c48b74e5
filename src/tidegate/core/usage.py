"""Usage: what one inference consumed."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]

PART_OF: Final = {
    "cache_read_input_tokens": "input_tokens",
    "cache_creation_input_tokens": "input_tokens",
    "cache_creation_1h_input_tokens": "cache_creation_input_tokens",
    "reasoning_output_tokens": "output_tokens",
}


class TokenKinds(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens that are not plain text, as parts of the totals of the `Usage` that holds this.

    `*_cache_read` is the part of its `*_input` that came from the provider's cache, and part of all that did.
    `citation_output`: sources that the model read while it answered (Perplexity).
    Raises ValueError where a part exceeds its total.
    """

    audio_input: Count = 0
    image_input: Count = 0
    video_input: Count = 0
    audio_cache_read: Count = 0
    image_cache_read: Count = 0
    video_cache_read: Count = 0
    audio_output: Count = 0
    image_output: Count = 0
    video_output: Count = 0
    citation_output: Count = 0

    def __post_init__(self) -> None:
        for kind in ("audio", "image", "video"):
            part, whole = getattr(self, f"{kind}_cache_read"), getattr(self, f"{kind}_input")
            if part > whole:
                raise ValueError(f"{kind}_cache_read ({part}) cannot exceed {kind}_input ({whole})")
        if min(msgspec.structs.astuple(self)) < 0:
            raise ValueError(f"counts cannot be negative: {self}")

    @property
    def input_tokens(self) -> int:
        return self.audio_input + self.image_input + self.video_input

    @property
    def cache_read(self) -> int:
        return self.audio_cache_read + self.image_cache_read + self.video_cache_read

    @property
    def output_tokens(self) -> int:
        return self.audio_output + self.image_output + self.video_output + self.citation_output


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counts of one inference, as the provider reported them.

    Cache and reasoning counts are parts of their totals, never added to them (OpenTelemetry GenAI registry,
    `gen_ai.usage.*`). `cache_creation_1h_input_tokens` is the part of what was written to the cache that is kept for
    an hour, which costs more than five minutes. Media are whole units as billed: images, and seconds rounded up.
    `requests` is the number of inferences this usage covers, for providers that charge by the request;
    `web_searches` those that the provider ran for the model. `kinds` is None where every token is text.
    Raises ValueError where a part exceeds its total.
    """

    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_input_tokens: Count = 0
    cache_creation_input_tokens: Count = 0
    reasoning_output_tokens: Count = 0
    images: Count = 0
    audio_input_s: Count = 0
    audio_output_s: Count = 0
    video_output_s: Count = 0
    requests: Count = 1
    cache_creation_1h_input_tokens: Count = 0
    web_searches: Count = 0
    kinds: TokenKinds | None = None

    def __post_init__(self) -> None:
        cached = self.cache_read_input_tokens + self.cache_creation_input_tokens
        if cached > self.input_tokens:
            raise ValueError(
                f"cache_read_input_tokens ({self.cache_read_input_tokens}) and cache_creation_input_tokens "
                f"({self.cache_creation_input_tokens}) together cannot exceed input_tokens ({self.input_tokens})"
            )
        if self.reasoning_output_tokens > self.output_tokens:
            raise ValueError(
                f"reasoning_output_tokens ({self.reasoning_output_tokens}) cannot exceed "
                f"output_tokens ({self.output_tokens})"
            )
        if self.cache_creation_1h_input_tokens > self.cache_creation_input_tokens:
            raise ValueError(
                f"cache_creation_1h_input_tokens ({self.cache_creation_1h_input_tokens}) cannot exceed "
                f"cache_creation_input_tokens ({self.cache_creation_input_tokens})"
            )
        if (
            self.input_tokens
            | self.output_tokens
            | self.cache_read_input_tokens
            | self.cache_creation_input_tokens
            | self.reasoning_output_tokens
            | self.images
            | self.audio_input_s
            | self.audio_output_s
            | self.video_output_s
            | self.requests
            | self.cache_creation_1h_input_tokens
            | self.web_searches
        ) < 0:  # as soon as one of them is: all share the sign bit
            counts = [(k, v) for k, v in msgspec.structs.asdict(self).items() if isinstance(v, int)]
            raise ValueError(f"counts cannot be negative: {', '.join(f'{k} ({v})' for k, v in counts if v < 0)}")
        if self.kinds is not None:
            self._check_kinds(self.kinds)

    def _check_kinds(self, kinds: TokenKinds) -> None:
        for name, whole in (
            ("input_tokens", self.input_tokens),
            ("cache_read", self.cache_read_input_tokens),
            ("output_tokens", self.output_tokens),
        ):
            if getattr(kinds, name) > whole:
                raise ValueError(
                    f"{name} of other kinds than text ({getattr(kinds, name)}) cannot exceed all ({whole})"
                )

    @property
    def total_tokens(self) -> int:
        """Prompt plus completion; "token volume" means this sum."""
        return self.input_tokens + self.output_tokens


NO_USAGE: Final = Usage(requests=0)
"""Nothing was dispatched, so nothing was consumed: an exact zero, not a missing value."""
