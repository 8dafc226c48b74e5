"""What Tidegate promises, and whether a result keeps it. The verdict is computed, never typed."""

import msgspec

from harness.record import Result, Spread, ratio

SUBJECT = "tidegate"
ACCOUNTS = "tidegate_accounts"
INTERPRETED = "tidegate_interpreted"  # beside SUBJECT where that is compiled


class Target(msgspec.Struct, frozen=True):
    """`metric` of a claim is at most `limit`, absolute or times that of the subject `against` in the same round."""

    claim: str
    metric: str
    limit: float
    words: str
    against: str = ""
    subject: str = SUBJECT


class Verdict(msgspec.Struct, frozen=True):
    target: Target
    value: Spread | None  # None: not measured
    met: bool


TARGETS = (
    Target("call_1k", "cpu_us", 80, "CPU µs a 1 kB call"),
    Target("call_1k", "cpu_us", 4, "CPU of a 1 kB call, times nginx", "nginx"),
    Target("call_1k", "cpu_us", 0.6, "CPU of a 1 kB call, times rolter", "rolter"),
    Target("call_1k_accounts", "added_cpu_us", 8, "CPU µs that accounts add to a 1 kB call", subject=ACCOUNTS),
    Target("call_1k_accounts", "cpu_us", 80, "CPU µs a 1 kB call under quotas", subject=ACCOUNTS),
    Target("call_1k_accounts", "cpu_us", 4, "CPU of a 1 kB call under quotas, times nginx", "nginx", ACCOUNTS),
    Target("call_1k_tls", "cpu_us", 140, "CPU µs a 1 kB call, TLS to the provider"),
    Target("call_1k_tls", "cpu_us", 5, "CPU of a 1 kB call with TLS, times nginx with TLS", "nginx"),
    Target("call_256k", "cpu_us", 3, "CPU of a 256 kB call, times nginx", "nginx"),
    Target("call_256k", "cpu_us", 0.3, "CPU of a 256 kB call, times rolter", "rolter"),
    Target("sse_event", "cpu_us", 20, "CPU µs a relayed SSE event"),
    Target("sse_event", "cpu_us", 1.5, "CPU of a relayed SSE event, times nginx", "nginx"),
    Target("sse_1000", "cpu_us", 20, "CPU µs a relayed SSE event, 1,000 streams"),
    Target("sse_1000", "cpu_us", 1.5, "CPU of a relayed SSE event, 1,000 streams, times nginx", "nginx"),
    Target("sse_across", "cpu_us", 60, "CPU µs an SSE event across dialects, 1,000 streams"),
    Target("first_chunk", "added_p50_us", 500, "µs added to the first chunk, p50"),
    Target("streams_memory", "stream_kb", 20, "kB an open stream"),
    Target("idle_memory", "rss_mb", 90, "MB resident, idle"),
)


def measured(result: Result, claim_name: str, metric: str, subject: str = SUBJECT, against: str = "") -> Spread | None:
    """A metric of a subject, or its ratio to that of another; None where either was not measured."""
    for claim in result.claims:
        if claim.name != claim_name:
            continue
        ours = claim.series[subject].metrics.get(metric) if subject in claim.series else None
        if not against or ours is None:
            return ours
        theirs = claim.series[against].metrics.get(metric) if against in claim.series else None
        return ratio(ours, theirs) if theirs else None
    return None


def judge(result: Result) -> list[Verdict]:
    """Every target with the median it is judged by; what was not measured is not met."""
    verdicts = []
    for target in TARGETS:
        value = measured(result, target.claim, target.metric, target.subject, target.against)
        verdicts.append(Verdict(target, value, value is not None and value.median <= target.limit))
    return verdicts
