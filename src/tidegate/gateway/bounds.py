"""The most that a call may come to, known before it is made: what its quotas reserve for it.

Of money an upper bound: a token is at least a byte of the request, and costs at most the highest rate it may be charged
at; an answer is as long as the caller allows. Where the caller sets no limit, one is assumed. Of tokens, which are a
rate, an estimate: four bytes a token. What a call comes to in the end is settled, whatever was reserved.
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tidegate.core.hours import MINUTE_US
from tidegate.core.money import UNITS_PER_RATE
from tidegate.core.price import Price, Rates
from tidegate.core.terms import PPM
from tidegate.wire.openai_chat import OpenAIHead
from tidegate.wire.routing_ask import ABSENT

if TYPE_CHECKING:
    from tidegate.wire.dialect import Head

OUTPUT_TOKENS_ASSUMED: Final = 4096  # of an answer whose caller sets no limit
OUTPUT_TOKENS_MOST: Final = 65_536  # of any answer, where money is plenty
OUTPUT_TOKENS_LEAST: Final = 16  # what a clamped call is left with; OpenAI takes no lower limit
OUTPUT_TOKENS_EXPECTED: Final = 1024  # of an answer without a limit, as a rate of tokens reserves it
CONTEXT_TOKENS_ELSE: Final = 2_000_000  # of a model whose context is unknown: no body is cut by it
SEARCHES_ASSUMED: Final = 5  # of a call whose request speaks of a search, where searches have a price
BYTES_PER_TOKEN: Final = 4
CHOICES_MAX: Final = 128
TOKENS_MAX: Final = 10**9
PRICES_MAX: Final = 10_000  # remembered; then they are worked out anew


class Asked(NamedTuple):
    """How long an answer the caller allows: tokens of each choice (None: no limit), and how many choices."""

    output_tokens: int | None
    choices: int


NO_OUTPUT: Final = Asked(0, 1)
NO_LIMIT: Final = Asked(None, 1)


class _Gemini(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    max_output_tokens: Any = None
    candidate_count: Any = None


class _Limits(msgspec.Struct, frozen=True, gc=False):
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    n: Any = None
    best_of: Any = None
    generationConfig: _Gemini | None = None
    generation_config: _Gemini | None = None


_number_decoder = msgspec.json.Decoder(int | float)
_limits_decoder = msgspec.json.Decoder(_Limits)


def asked_of(dialect: str, head: "Head", body: bytes) -> Asked:
    """What the request says of the length of its answer. head: as decoded, before it is stripped of its views."""
    return Asked(*limits_of(dialect, head, body))


def limits_of(dialect: str, head: "Head", body: bytes) -> tuple[int | None, int]:
    """As `asked_of`, without a name for each: every call asks."""
    if dialect == "openai-chat":
        request = head.request if type(head) is OpenAIHead else None
        if request is not None and request.messages:
            limit, older, told = request.max_completion_tokens, request.max_tokens, None
            if limit is not ABSENT:
                told = _count(limit)
            if told is None and older is not ABSENT:
                told = _count(older)
            return told, 1 if request.n is ABSENT else min(_count(request.n) or 1, CHOICES_MAX)
    if dialect == "openai-embeddings":
        return NO_OUTPUT
    try:
        said = _limits_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NO_LIMIT  # the provider's to judge
    own = said.generationConfig or said.generation_config or _Gemini()
    told = next(
        (count for value in (said.max_completion_tokens, said.max_tokens, said.max_output_tokens,
                             own.max_output_tokens) if (count := _whole(value))), None)  # fmt: skip
    choices = max(_whole(said.n) or 1, _whole(said.best_of) or 1, _whole(own.candidate_count) or 1)
    return told, min(choices, CHOICES_MAX)


def _count(raw: msgspec.Raw) -> int | None:
    try:
        value = _number_decoder.decode(raw)
        return value if type(value) is int and 0 < value <= TOKENS_MAX else _whole(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _whole(value: object) -> int | None:
    """A positive whole number; None for anything else, which the provider will judge."""
    if type(value) is int:
        return min(value, TOKENS_MAX) if value > 0 else None
    return min(int(value), TOKENS_MAX) or None if type(value) is float and 0 < value < float("inf") else None


class Step(NamedTuple):
    """The highest rates of a call with at most so many input tokens, in nano-USD per million."""

    input_tokens_max: float
    input: int
    output: int


class Ceiling:
    """The highest that each unit of a price may cost, in nano-USD per million; of several prices, at any of them.

    `price`: the first of them. `prices`: those that a call may have, by the hour at which it is made.
    """

    __slots__ = ("_steps", "first", "is_plain", "price", "prices", "request", "search")

    def __init__(self, price: Price, *others: Price) -> None:
        self.price, self.prices = price, (price, *others)
        bounds = [(0, one.rates) for one in self.prices]
        bounds += [(tier.input_tokens_above, tier.rates) for one in self.prices for tier in one.tiers]
        every = [rates for _, rates in bounds]
        ends = [*sorted({bound for bound, _ in bounds if bound}), float("inf")]
        self._steps = []
        for end in ends:
            below = [rates for bound, rates in bounds if bound < end]
            self._steps.append(Step(end, max(map(_input_rate, below)), max(map(_output_rate, below))))
        self.is_plain, self.first = len(self._steps) == 1, self._steps[0][1:]
        self.request = max(rates.request or 0 for rates in every)
        self.search = max(rates.web_search or 0 for rates in every)

    def rates(self, input_tokens: int) -> tuple[int, int]:
        """Of a token in and of one out, with at most so much input."""
        if self.is_plain:
            return self.first
        step = next(step for step in self._steps if input_tokens <= step.input_tokens_max)
        return step.input, step.output


class Bound:
    """The most that one call may cost, for any length of its answer.

    `base`, `per_token`: nano-USD times UNITS_PER_RATE, of the call without an answer and of each token of every choice.
    `output_tokens`, `choices`: as `Asked` has them. `body_bytes`: what tokens are estimated from.
    """

    __slots__ = ("base", "body_bytes", "choices", "output_tokens", "per_token")

    def __init__(self, base: int, per_token: int, output_tokens: int | None, choices: int, body_bytes: int) -> None:
        self.base, self.per_token = base, per_token
        self.output_tokens, self.choices, self.body_bytes = output_tokens, choices, body_bytes

    def add_margin(self, margin_ppm: int) -> None:
        """The charge instead of the cost; a little more where it would be rounded twice."""
        share = PPM + margin_ppm
        self.base = -(-self.base * share // PPM) + (2 + share // PPM) * UNITS_PER_RATE
        self.per_token = -(-self.per_token * share // PPM)

    def nano_usd(self, output_tokens: int) -> int:
        """With so many tokens in each choice, rounded up."""
        return -(-(self.base + output_tokens * self.per_token) // UNITS_PER_RATE)

    def affordable(self, nano_usd: int) -> int:
        """How many tokens each choice may have for so much; 0 where not even the request can be paid."""
        rest = nano_usd * UNITS_PER_RATE - self.base
        if rest <= 0:
            return 0
        return min(OUTPUT_TOKENS_MOST, rest // self.per_token) if self.per_token else OUTPUT_TOKENS_MOST


def _input_rate(rates: Rates) -> int:
    kinds = rates.kinds
    own = (kinds.audio_input, kinds.image_input, kinds.video_input) if kinds is not None else ()
    return max(rates.input, rates.cache_read or 0, rates.cache_creation or 0, rates.cache_creation_1h or 0,
               *(rate or 0 for rate in own))  # fmt: skip


def _output_rate(rates: Rates) -> int:
    kinds = rates.kinds
    own = (kinds.audio_output, kinds.image_output, kinds.video_output, kinds.citation_output) if kinds else ()
    return max(rates.output, rates.reasoning or 0, *(rate or 0 for rate in own))


class Ceilings:
    """Ceilings of the prices in use."""

    def __init__(self) -> None:
        self._known: dict[str, Ceiling] = {}
        self._hourly: dict[tuple[str, int, int], Ceiling] = {}

    def within(self, price: Price, from_us: int, until_us: int) -> Ceiling:
        """Of a price that has hours: the dearest of a span, worked out once a minute."""
        first, last = from_us // MINUTE_US, until_us // MINUTE_US + 1
        known = self._hourly.get((price.price_id, first, last))
        if known is None or known.price is not price:
            if len(self._hourly) >= PRICES_MAX:
                self._hourly.clear()
            prices = price.within(first * MINUTE_US, last * MINUTE_US)
            known = self._hourly[price.price_id, first, last] = Ceiling(*prices)
            known.price = price  # by which it is known again
        return known

    def of(self, price: Price) -> Ceiling:
        """Worked out once a price."""
        known = self._known.get(price.price_id)
        if known is None or known.price is not price:
            if len(self._known) >= PRICES_MAX:
                self._known.clear()
            known = self._known[price.price_id] = Ceiling(price)
        return known
