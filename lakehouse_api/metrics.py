"""Metrics of this process for Prometheus.

Belongs here: the registry and what is counted. Not here: the route (see routes/metrics.py).
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LATENCY_BOUNDS = [str(float(bound)) for bound in _LATENCY_BUCKETS_S] + ["+Inf"]


class _Latencies:
    """Times by route for the one thread that answers requests: added to without a lock, summed up when scraped."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, int], _Series] = {}

    def observe(self, key: tuple[str, str, int], elapsed_s: float) -> None:
        """Count one request of a method, route and status."""
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        series.counts[bisect_left(_LATENCY_BUCKETS_S, elapsed_s)] += 1
        series.sum_s += elapsed_s

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told."""
        name, labels = "lakehouse_http_request_seconds", ("method", "route", "status")
        family = HistogramMetricFamily(name, "Time to the last byte of an answer, by route template.", labels=labels)
        for key, series in list(self._series.items()):
            values = [str(value) for value in key]
            buckets = list(zip(_LATENCY_BOUNDS, accumulate(series.counts), strict=True))
            family.add_metric(values, buckets, series.sum_s)
            family.add_sample(f"{name}_created", dict(zip(labels, values, strict=True)), series.created_s)
        yield family


class _Series:
    __slots__ = ("counts", "created_s", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * len(_LATENCY_BOUNDS)
        self.created_s = time.time()
        self.sum_s = 0.0


class Metrics:
    """Counters, gauges and histograms with a registry of their own, so that two apps in a process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._latencies = _Latencies()
        self.registry.register(self._latencies)
        self.in_flight = 0
        in_flight = Gauge("lakehouse_http_in_flight", "Requests being answered.", registry=self.registry)
        in_flight.set_function(lambda: self.in_flight)
        self.actions = self._counter("lakehouse_actions", "Audited actions (ingest, sql, storage, catalog).", "status")
        self.rows = self._counter("lakehouse_action_rows", "Rows that actions wrote or answered.")
        self.bytes = self._counter("lakehouse_action_bytes", "Bytes that actions took or answered.")
        self.lost_audits = Counter(
            "lakehouse_lost_audits", "Audit lines that the event log did not take.", registry=self.registry
        )
        self.searches = Counter(
            "lakehouse_searches",
            "Matrix searches, by arm and by whether the query's embeddings, and the whole answer, were in memory.",
            ["arm", "embedding_cached", "answer_cached"],
            registry=self.registry,
        )
        self.chats = Counter(
            "lakehouse_chat_calls", "Chat calls.", ["role", "provider", "status", "frontier"], registry=self.registry
        )
        self.chat_tokens = Counter(
            "lakehouse_chat_tokens", "Tokens of chat calls.", ["role", "provider", "kind"], registry=self.registry
        )
        self.chat_cost = Counter(
            "lakehouse_chat_cost_usd", "Dollars of chat calls.", ["role", "provider"], registry=self.registry
        )
        self.validations = Counter(
            "lakehouse_validations",
            "Validations, by kind and by the error that refused the artifact, which is `none` when it passed.",
            ["kind", "error"],
            registry=self.registry,
        )
        self._search_series: dict[tuple[str, bool, bool], Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._validation_series: dict[tuple[str, str], Counter] = {}
        self._action_series: dict[tuple[str, str], tuple[Counter, Counter, Counter]] = {}

    def observe_request(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """Measure one request; for the thread of the event loop."""
        self._latencies.observe((method, route, status), elapsed_s)

    def count_search(self, arm: str, *, is_embedding_cached: bool, is_answer_cached: bool) -> None:
        """Count one matrix search."""
        key = (arm, is_embedding_cached, is_answer_cached)
        series = self._search_series.get(key)
        if series is None:
            labels = (arm, str(is_embedding_cached).lower(), str(is_answer_cached).lower())
            series = self._search_series[key] = self.searches.labels(*labels)
        series.inc()

    def count_chat(self, line: Mapping[str, Any]) -> None:
        """Count one chat call by its line."""
        role, provider = line["role"], line["provider"]
        self.chats.labels(role, provider, line["status"], str(line["is_frontier"]).lower()).inc()
        self.chat_tokens.labels(role, provider, "prompt").inc(line["prompt_tokens"] or 0)
        self.chat_tokens.labels(role, provider, "completion").inc(line["completion_tokens"] or 0)
        self.chat_cost.labels(role, provider).inc(line["cost_usd"] or 0.0)

    def count_validation(self, kind: str, error: str | None) -> None:
        """Count one validation."""
        key = (kind, error or "none")
        series = self._validation_series.get(key)
        if series is None:
            series = self._validation_series[key] = self.validations.labels(*key)
        series.inc()

    def count_action(self, action: str, status: str, *, rows: int = 0, size_bytes: int = 0) -> None:
        """Count one audited action."""
        key = (action, status)
        series = self._action_series.get(key)
        if series is None:
            found = (self.actions.labels(action, status), self.rows.labels(action), self.bytes.labels(action))
            series = self._action_series[key] = found
        actions, rows_of, bytes_of = series
        actions.inc()
        rows_of.inc(max(0, rows))
        bytes_of.inc(max(0, size_bytes))

    def set_gauge(self, name: str, value: float, help_text: str) -> None:
        """Set a gauge that is read at the time of the scrape."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(f"lakehouse_{name}", help_text, registry=self.registry)
        self._gauges[name].set(value)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, ["action", *labels], registry=self.registry)
