"""Usage: what one inference consumed."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]

PART_OF: Final = {
    "cache_read_input_tokens": "input_tokens",
    "cache_creation_input_tokens": "input_tokens",
    "reasoning_output_tokens": "output_tokens",
}


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counts of one inference, as the provider reported them.

    Cache and reasoning counts are parts of their totals, never added to them (OpenTelemetry GenAI registry,
    `gen_ai.usage.*`). Media are whole units as billed: images, and seconds rounded up. `requests` is the number of
    inferences this usage covers, for providers that charge by the request.
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
        if min(msgspec.structs.astuple(self)) < 0:
            counts = msgspec.structs.asdict(self).items()
            raise ValueError(f"counts cannot be negative: {', '.join(f'{k} ({v})' for k, v in counts if v < 0)}")

    @property
    def total_tokens(self) -> int:
        """Prompt plus completion; "token volume" means this sum."""
        return self.input_tokens + self.output_tokens


NO_USAGE: Final = Usage(requests=0)
"""Nothing was dispatched, so nothing was consumed: an exact zero, not a missing value."""
