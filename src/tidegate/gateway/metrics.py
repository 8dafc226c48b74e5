"""`/metrics`: the totals of all workers of this gateway, in Prometheus' text format.

A scrape reaches one worker, so each leaves its totals in the run folder (once a second, where they changed), and the
one that is asked adds the others'. No lock, no shared memory, and nothing of it on the hot path.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tidegate.gateway.meter import BUCKETS_S, Totals

log = logging.getLogger(__name__)

COUNTERS = (
    ("unauthenticated", "tidegate_unauthenticated_requests", "requests without a valid key; they make no row"),
    ("unparsable", "tidegate_unparsable_requests", "connections refused for bytes that are not HTTP/1.1"),
    ("unknown_cost", "tidegate_unknown_cost_calls", "calls whose provider never said what they used"),
    ("input_tokens", "tidegate_input_tokens", "prompt tokens metered, cached ones included"),
    ("output_tokens", "tidegate_output_tokens", "completion tokens metered, reasoning included"),
    ("label_samples", "tidegate_label_samples", "calls handed to the labeller, of tenants that opted in"),
    ("label_samples_dropped", "tidegate_label_samples_dropped", "drawn calls that the labeller could not take"),
    ("cost_nano_usd", "tidegate_cost_nano_usd", "charged to tenants, nano-USD"),
    ("cache_hits", "tidegate_response_cache_hits", "calls answered from the response cache"),
    ("cache_coalesced", "tidegate_response_cache_coalesced", "calls that shared the answer of one in flight"),
    ("cache_misses", "tidegate_response_cache_misses", "calls that might have been either, and asked a provider"),
)
GAUGES = (
    ("open_calls", "tidegate_open_calls", "calls being served"),
    ("connections", "tidegate_client_connections", "open connections of callers"),
    ("cache_answers", "tidegate_response_cache_answers", "answers kept in memory"),
    ("cache_bytes", "tidegate_response_cache_bytes", "their size, with that of shared streams under way"),
)
HISTOGRAMS = (
    ("overhead", "tidegate_overhead_seconds", "the gateway's own part of a call"),
    ("first_chunk", "tidegate_time_to_first_chunk_seconds", "request arrival to the first answer byte"),
)
LABELLED = ("calls", "upstream_failures")
MEMBERS = (
    *LABELLED,
    *(member for member, _, _ in (*COUNTERS, *GAUGES, *HISTOGRAMS)),
    *(f"{member}_sum_us" for member, _, _ in HISTOGRAMS),
)


class MetricsBoard:
    """Totals of this worker and its siblings."""

    def __init__(self, folder: Path, worker: int, totals: Totals) -> None:
        self._folder, self._worker, self._totals = folder, worker, totals
        self._path = folder / f"metrics-{worker}.json"
        self._written = b""
        self._registry = CollectorRegistry()
        self._registry.register(_Board(self))

    def publish(self) -> None:
        """Leave this worker's totals for the others. Called about once a second."""
        body = msgspec.json.encode(_as_dict(self._totals))
        if body == self._written:
            return
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            temporary.write_bytes(body)
            temporary.replace(self._path)
            self._written = body
        except OSError as error:
            log.warning("metrics: %s cannot be written: %s", self._path, error.strerror)

    def withdraw(self) -> None:
        """This worker stops: its gauges end, its counters go with it."""
        self._path.unlink(missing_ok=True)

    def all(self) -> list[dict[str, Any]]:
        found = [_as_dict(self._totals)]
        for path in sorted(self._folder.glob("metrics-*.json")):
            if path != self._path:
                try:
                    found.append(msgspec.json.decode(path.read_bytes()))
                except (OSError, msgspec.DecodeError):
                    continue  # a worker that is just leaving
        return found

    def render(self) -> bytes:
        return generate_latest(self._registry)


def _as_dict(totals: Totals) -> dict[str, Any]:
    found = {name: getattr(totals, name) for name in MEMBERS}  # a compiled object has no `vars`
    found["calls"] = {str(status): count for status, count in totals.calls.items()}
    return found


class _Board(Collector):
    """What prometheus-client renders: sums over workers, made at the moment of a scrape."""

    def __init__(self, board: MetricsBoard) -> None:
        self._board = board

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        parts = self._board.all()
        yield _labelled("tidegate_calls", "authenticated calls finished, by HTTP status", "status", parts, "calls")
        yield _labelled(
            "tidegate_upstream_failures",
            "attempts that failed, by error type",
            "error_type",
            parts,
            "upstream_failures",
        )
        for member, name, text in COUNTERS:
            yield CounterMetricFamily(name, text, value=sum(part[member] for part in parts))
        for member, name, text in GAUGES:
            yield GaugeMetricFamily(name, text, value=sum(part[member] for part in parts))
        for member, name, text in HISTOGRAMS:
            counts = [sum(column) for column in zip(*(part[member] for part in parts), strict=True)]
            total, buckets = 0, []
            for bound, count in zip((*BUCKETS_S, float("inf")), counts, strict=True):
                total += count
                buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
            seconds = sum(part[f"{member}_sum_us"] for part in parts) / 1e6
            yield HistogramMetricFamily(name, text, buckets=buckets, sum_value=seconds)


def _labelled(name: str, text: str, label: str, parts: list[dict[str, Any]], member: str) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    sums: dict[str, int] = {}
    for part in parts:
        for key, count in part[member].items():
            sums[key] = sums.get(key, 0) + count
    for key in sorted(sums):
        family.add_metric([key], sums[key])
    return family
