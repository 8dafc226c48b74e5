"""How endpoints fare, as the calls through them show it: no probe is sent that is not a caller's own call.

Everything is integers: counts that halve with time, and histograms of latency and throughput whose buckets grow by an
eighth, also halved with time. The caller says what time it is (seconds on any clock that only goes forward).

Breaker: after some failures in a row an endpoint is open and is tried last; when its time is over it is half open: one
call may try it first, and closes it or opens it for twice as long. `Retry-After` of a 429 rests it likewise.
"""

import math
from typing import Final, Literal

import msgspec

HALF_LIFE_S: Final = 30.0  # of counts of failures: OpenRouter looks back as far
HISTOGRAM_HALF_LIFE_S: Final = 300.0
LOAD_HALF_LIFE_S: Final = 60.0
LOAD_AGE_MAX: Final = 64  # half-lives, after which the unit of loads is made small again
OUTAGE_PPM: Final = 200_000  # share of failures above which an endpoint is tried after those that are well
OUTAGE_CALLS_MIN: Final = 3
SCALE: Final = 1024  # counts are kept in 1/1024, so that halving an integer loses nothing that matters
OPEN_DOUBLINGS_MAX: Final = 4
SAMPLES_MIN: Final = 5  # of a histogram, before its percentiles say anything
REST_S_MAX: Final = 3600.0
REST_S_DEFAULT: Final = 5.0  # of a 429 that says nothing of when
NOTED_ONE_IN: Final = 8  # successes of an endpoint that is well and much used: the others are only counted
MUCH_USED: Final = 64 * SCALE  # samples of its latency
STEPS: Final = 8  # buckets between one power of two and the next
BUCKETS: Final = 256
_LINEAR: Final = STEPS  # below it, each value has a bucket of its own

State = Literal["closed", "open", "half_open"]
Fault = Literal["timeout", "connect", "server_error", "rate_limited", "broken", "rejected"]
"""What an endpoint can do wrong. `rejected`: it refused our credentials. The caller's own mistakes are not here."""


def bucket_of(value: int) -> int:
    """The bucket of a value: exact below 8, then eighths of a power of two."""
    if value < _LINEAR:
        return max(value, 0)
    power = value.bit_length() - 4
    bucket = (power + 1) * STEPS + ((value >> power) & (STEPS - 1))
    return bucket if bucket < BUCKETS else BUCKETS - 1


def floor_of(bucket: int) -> int:
    """The least value of a bucket."""
    if bucket < _LINEAR:
        return bucket
    power, step = divmod(bucket, STEPS)
    return (STEPS + step) << (power - 1)


class Histogram:
    """Counts by bucket, halved with time."""

    __slots__ = ("_counts", "_halved_s", "_known", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._known: dict[int, int] = {}  # percentiles that were asked for since the last sample
        self._halved_s = 0.0
        self.total = 0

    def add(self, value: int, now_s: float) -> None:
        if now_s - self._halved_s >= HISTOGRAM_HALF_LIFE_S:
            self._halve(now_s)
        bucket, counts = bucket_of(value), self._counts
        if bucket in counts:
            counts[bucket] += SCALE
        else:
            counts[bucket] = SCALE
        self.total += SCALE
        if self._known:
            self._known = {}

    def _halve(self, now_s: float) -> None:
        halvings = int((now_s - self._halved_s) // HISTOGRAM_HALF_LIFE_S)
        self._halved_s += halvings * HISTOGRAM_HALF_LIFE_S
        shift = min(halvings, 64)
        self._counts = {bucket: left for bucket, count in self._counts.items() if (left := count >> shift)}
        self.total = sum(self._counts.values())

    def percentile(self, ppm: int) -> int | None:
        """The least value of the bucket below which this share of samples lies; None with too few samples."""
        if self.total < SAMPLES_MIN * SCALE:
            return None
        known = self._known.get(ppm)
        if known is not None:
            return known
        wanted, seen = self.total * ppm, 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket] * 1_000_000
            if seen >= wanted:
                self._known[ppm] = floor_of(bucket)
                return self._known[ppm]
        raise AssertionError("the counts of a histogram are its total")


class Percentiles(msgspec.Struct, frozen=True):
    """p50, p75, p90, p99; None where too few calls were seen."""

    p50: int | None = None
    p75: int | None = None
    p90: int | None = None
    p99: int | None = None


def percentiles_of(histogram: Histogram) -> Percentiles:
    return Percentiles(*(histogram.percentile(ppm) for ppm in (500_000, 750_000, 900_000, 990_000)))


class Patience(msgspec.Struct, frozen=True):
    """When the breaker opens, and for how long at first."""

    failures_to_open: int = 5
    open_s: float = 5.0


class EndpointHealth:
    """One endpoint's health. `latency_us`: to the first byte of an answer; `throughput`: output tokens a second."""

    __slots__ = (
        "_answered_s", "_counted_s", "_failed", "_ok", "_opened", "_probe_until_s", "_uncounted",
        "closes_s", "failures", "latency_us", "load", "patience", "rests_s", "throughput",
    )  # fmt: skip

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.latency_us, self.throughput = Histogram(), Histogram()
        self._ok = self._failed = 0
        self._uncounted = 0  # successes that are still to be added to `_ok`
        self._counted_s = 0.0
        self._answered_s = -math.inf  # when a call was last seen to be answered
        self.failures = 0  # in a row
        self._opened = 0  # times in a row
        self.closes_s = 0.0  # the breaker is open until then
        self.rests_s = 0.0  # it asked to be left alone until then
        self._probe_until_s = 0.0
        self.load = 0.0  # of late, in a unit of `Health`: only to be compared with others at one time

    def state(self, now_s: float) -> State:
        if not self._opened:
            return "closed"
        return "open" if now_s < self.closes_s else "half_open"

    def error_ppm(self, now_s: float) -> int | None:
        """Share of failures, recent ones counting more; None where too few calls were seen."""
        self._decay(now_s)
        total = self._ok + self._failed
        return self._failed * 1_000_000 // total if total >= OUTAGE_CALLS_MIN * SCALE else None

    def is_well(self, now_s: float) -> bool:
        """No outage lately, not open, not resting: it may be tried first. Half open it is not, but for its probe."""
        if self._opened or now_s < self.rests_s:
            return False
        if not self._failed:
            return True
        share = self.error_ppm(now_s)
        return share is None or share <= OUTAGE_PPM

    def has_failed(self, now_s: float) -> bool:
        """Within the last minutes, and it is not forgotten yet."""
        self._decay(now_s)
        return self._failed > 0

    def is_shut(self, now_s: float) -> bool:
        """The breaker is open, or it asked to be left alone: whoever tries it now will most likely fail."""
        return now_s < self.rests_s or (self._opened > 0 and now_s < self.closes_s)

    def may_probe(self, now_s: float) -> bool:
        """Half open, or rested, and nobody is trying it: one call may."""
        return self._opened > 0 and now_s >= max(self.closes_s, self.rests_s, self._probe_until_s)

    def begin_probe(self, now_s: float, wait_s: float) -> None:
        """A call tries it; another may not before `wait_s` is over, or this one's end is known."""
        self._probe_until_s = now_s + wait_s

    def succeed(self, now_s: float, *, latency_us: int = 0, tokens_per_s: int = 0) -> None:
        """A call was answered."""
        if now_s - self._counted_s >= HALF_LIFE_S:
            self._decay(now_s)
        self._ok += SCALE * (1 + self._uncounted)
        self._uncounted = 0
        self._answered_s = now_s
        if latency_us:
            self.latency_us.add(latency_us, now_s)
        if tokens_per_s:
            self.throughput.add(tokens_per_s, now_s)
        if self.failures or self._opened or self.rests_s or self._probe_until_s:
            self._recover()

    def passes_over(self) -> bool:
        """One more success says nothing new, and is but counted."""
        if self.failures or self._opened or self.rests_s or self.latency_us.total < MUCH_USED:
            return False
        if self._uncounted + 1 >= NOTED_ONE_IN:
            return False
        self._uncounted += 1
        return True

    def _recover(self) -> None:
        if self._opened:
            self._failed = 0  # what it did before it was opened is paid for
        self.failures = self._opened = 0
        self.rests_s = self._probe_until_s = 0.0

    def fail(self, now_s: float, fault: Fault, *, retry_after_s: float | None = None,
             began_s: float | None = None) -> None:  # fmt: skip
        """A call failed. began_s: when its attempt began: who answered others since then is not down; None: now."""
        self._decay(now_s)
        self._ok += SCALE * self._uncounted
        self._uncounted = 0
        if fault == "rate_limited":  # OpenRouter counts no 429 as an outage: the endpoint is well, and full
            self.rests_s = max(self.rests_s, now_s + min(retry_after_s or REST_S_DEFAULT, REST_S_MAX))
            self._probe_until_s = 0.0
            return
        self._failed += SCALE
        if retry_after_s:
            self.rests_s = max(self.rests_s, now_s + min(retry_after_s, REST_S_MAX))
        if began_s is not None and began_s < self._answered_s:
            return
        self.failures += 1
        if self._opened or self.failures >= self.patience.failures_to_open:
            self._open(now_s)

    def _open(self, now_s: float) -> None:
        if now_s < self.closes_s and self._opened:
            return  # a call that began before it was opened tells nothing new
        self.closes_s = now_s + self.patience.open_s * (1 << min(self._opened, OPEN_DOUBLINGS_MAX))
        self._opened += 1
        self._probe_until_s = 0.0

    def _decay(self, now_s: float) -> None:
        halvings = int((now_s - self._counted_s) // HALF_LIFE_S)
        if halvings > 0:
            self._counted_s += halvings * HALF_LIFE_S
            self._ok >>= min(halvings, 64)
            self._failed >>= min(halvings, 64)


class Health:
    """All endpoints' health.

    `unwell`: ids of those that are not to be tried first: rankings by price are remembered under it. `version`: changes
    at most once a second, with the percentiles: rankings by speed are remembered under it.
    """

    TICK_S: Final = 1.0

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._endpoints: dict[str, EndpointHealth] = {}
        self._ticked_s = 0.0
        self._moved = False  # something was learned since the last tick
        self._loads_since_s = 0.0
        self.loads = 0  # how often work was sent anywhere
        self.unit_ticked = 1.0  # `unit` as of the last tick
        self.version = 0
        self.unwell: set[str] = set()
        self._shaky: set[str] = set()  # that failed within the last minutes

    def of(self, endpoint_id: str) -> EndpointHealth:
        found = self._endpoints.get(endpoint_id)
        if found is None:
            found = self._endpoints[endpoint_id] = EndpointHealth(self._patience)
        return found

    def be_as_patient(self, patience: Patience) -> None:
        """From now on, with all endpoints."""
        self._patience = patience
        for one in self._endpoints.values():
            one.patience = patience

    def passes_over(self, endpoint_id: str) -> bool:
        """One more success there need not be told (`succeed`): it is one of many alike, and was counted here."""
        one = self._endpoints.get(endpoint_id)
        return one is not None and one.passes_over()

    def succeed(self, endpoint_id: str, now_s: float, *, latency_us: int = 0, tokens_per_s: int = 0) -> None:
        self._moved = True
        one = self._endpoints.get(endpoint_id) or self.of(endpoint_id)
        one.succeed(now_s, latency_us=latency_us, tokens_per_s=tokens_per_s)
        if endpoint_id in self.unwell and one.is_well(now_s):
            self.unwell.discard(endpoint_id)

    def fail(self, endpoint_id: str, now_s: float, fault: Fault, *, retry_after_s: float | None = None,
             began_s: float | None = None) -> None:  # fmt: skip
        self._moved = True
        one = self.of(endpoint_id)
        one.fail(now_s, fault, retry_after_s=retry_after_s, began_s=began_s)
        self._shaky.add(endpoint_id)
        if not one.is_well(now_s):
            self.unwell.add(endpoint_id)

    def is_shaky(self, endpoint_id: str, now_s: float) -> bool:
        """It failed a call within the last minutes, and may well fail the next."""
        if endpoint_id not in self._shaky:
            return False
        if not self._endpoints[endpoint_id].has_failed(now_s):
            self._shaky.discard(endpoint_id)
        return endpoint_id in self._shaky

    def unit(self, now_s: float) -> float:
        """What a token of work weighs now in `EndpointHealth.load`: older work weighs less, since this grows."""
        age = (now_s - self._loads_since_s) / LOAD_HALF_LIFE_S
        if age > LOAD_AGE_MAX:
            for health in self._endpoints.values():
                health.load = math.ldexp(health.load, -min(int(age), 1000))
            self._loads_since_s += int(age) * LOAD_HALF_LIFE_S
            age -= int(age)
        return float(2.0**age)

    def load(self, endpoint_id: str, tokens: int, now_s: float) -> None:
        """So much work was sent there."""
        unit = self.unit(now_s)
        self.of(endpoint_id).load += tokens * unit
        self.loads += 1

    def tick(self, now_s: float) -> None:
        """To be called before a look at `unwell` or `version`: once a second they follow time and the calls made."""
        if now_s - self._ticked_s < self.TICK_S:
            return
        self._ticked_s, self.unit_ticked = now_s, self.unit(now_s)
        if self.unwell:
            self.unwell -= {name for name in self.unwell if self._endpoints[name].is_well(now_s)}
        self.version += self._moved
        self._moved = False

    def snapshot(self) -> dict[str, EndpointHealth]:
        """Endpoints of which anything was seen, by id."""
        return self._endpoints
