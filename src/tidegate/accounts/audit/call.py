"""A call as another system logged it, in our terms: what it used, what was charged, and what the log does not say."""

from fractions import Fraction
from typing import Final

import msgspec

from tidegate.core.price import Rates
from tidegate.core.usage import Usage

NANO_USD: Final = 1
"""The finest amount of a log that holds USD."""


class LoggedCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a log.

    place: file and line. call_id: the log's own id; empty where it has none. day: ISO date (UTC).
    model: as logged, lower case, without the provider; other_models: its other names, for where nobody prices that
    one. provider: ours, where the log names one that we know.
    usage: None where the log holds no counts; `other_usage`: the same counts by the other way to read them (input
    that leaves out what was cached). has_cache_counts, has_reasoning_counts: the log says how many, be it zero.
    charged_nano_usd: without `extra_nano_usd`, which the log names apart (tools, searches).
    quantum_nano_usd: the finest step in which the log can hold an amount. factor: the margin that the log itself
    states (one-api's group). own_rates: those that the log says it charged at, before the factor.
    fixed_nano_usd: a price for the call, whatever its tokens, that the log says it charged. calls: how many a record
    sums up; above one it is a sum of a day.
    is_counted_locally: the gateway counted tokens itself, since the provider sent no counts. is_own_cache: the answer
    came from the gateway's own cache. is_half_price: a flex or batch call, at half of the list price.
    is_price_missing: the log says that the gateway knew no price.
    """

    place: str
    ts: int
    day: str
    model: str
    charged_nano_usd: int
    quantum_nano_usd: int = NANO_USD
    call_id: str = ""
    other_models: tuple[str, ...] = ()
    provider: str = ""
    provider_said: str = ""
    variant: str = ""
    operation: str = "chat"
    account: str = ""
    usage: Usage | None = None
    other_usage: Usage | None = None
    has_cache_counts: bool = False
    has_reasoning_counts: bool = False
    extra_nano_usd: int = 0
    factor: Fraction = Fraction(1)
    own_rates: Rates | None = None
    fixed_nano_usd: int | None = None
    calls: int = 1
    error: str = ""
    is_failed: bool = False
    is_cancelled: bool | None = None
    is_stream: bool | None = None
    is_own_cache: bool = False
    is_own_key: bool = False
    is_counted_locally: bool = False
    is_half_price: bool = False
    duration_us: int | None = None
    is_price_missing: bool = False

    @property
    def tolerance_nano_usd(self) -> int:
        """How far a right amount may stand from the logged one: its step, and a float's error."""
        return self.quantum_nano_usd + abs(self.charged_nano_usd) // 10**9

    @property
    def has_tokens(self) -> bool:
        return self.usage is not None and self.usage.total_tokens > 0
