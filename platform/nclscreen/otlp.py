"""Spans by OpenTelemetry, sent as OTLP over HTTP. Nobody but `nclscreen.tracing` imports this, and only when asked to.

A bounded number of spans waits in memory, and a thread sends them: a collector that is away costs spans, and nothing
else.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from jobs.spans import Attribute, Timed
from nclscreen import __version__

logger = logging.getLogger(__name__)

_propagator = TraceContextTextMapPropagator()


class OtlpSpans:
    """A `jobs.spans.Listener`; where to send to, sampling and limits come from OpenTelemetry's variables."""

    def __init__(self) -> None:
        # it would tell the terminal, at length, of each batch that is not taken
        sdk = logging.getLogger("opentelemetry")
        sdk.propagate, sdk.handlers = False, [logging.NullHandler()]
        env = os.environ
        named = env.get("OTEL_SERVICE_NAME") or "service.name=" in env.get("OTEL_RESOURCE_ATTRIBUTES", "")
        service = {"service.version": __version__} | ({} if named else {"service.name": "nclscreen"})
        #: for whoever makes spans by himself
        self.provider = TracerProvider(resource=Resource.create(service), shutdown_on_exit=False)
        self.provider.add_span_processor(_NoQueries())
        self.provider.add_span_processor(BatchSpanProcessor(_Exporter()))
        self._tracer = self.provider.get_tracer("nclscreen", __version__)

    def close(self, timeout_s: float) -> None:
        """Send what waits; return after so many seconds at the latest."""
        last = threading.Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(timeout_s)

    @contextmanager
    def span(self, name: str, parent: str | None, attributes: Mapping[str, Attribute]) -> Iterator[None]:
        with self._tracer.start_as_current_span(
            name,
            context=None if parent is None else _context(parent),
            attributes=_named(attributes),
            record_exception=False,  # messages quote names of files, and addresses with secrets
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise

    def note(self, attributes: Mapping[str, Attribute]) -> None:
        trace.get_current_span().set_attributes(_named(attributes))

    def tell(self, timed: Timed, parent: str) -> None:
        self._tell(timed, _context(parent))

    def _tell(self, timed: Timed, context: Context) -> None:
        span = self._tracer.start_span(
            timed.name, context=context, attributes=_named(timed.attributes), start_time=_nanoseconds(timed.began)
        )
        for part in timed.parts:
            self._tell(part, trace.set_span_in_context(span, Context()))
        span.end(_nanoseconds(timed.ended))

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get("traceparent")


class _NoQueries(SpanProcessor):
    """What people look for may be the name of a photograph."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if "url.query" in (span.attributes or {}):
            span.set_attribute("url.query", "not kept")


class _Exporter(OTLPSpanExporter):
    """Tells once that the collector takes no spans, and once that it does again."""

    _failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            logger.warning("the collector of traces takes none: spans are dropped until it does, work goes on")
        elif self._failing and not failing:
            logger.warning("the collector takes traces again")
        self._failing = failing
        return result


def _context(parent: str) -> Context:
    return _propagator.extract({"traceparent": parent}, context=Context())


def _named(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {f"nclscreen.{name}": value for name, value in attributes.items()}


def _nanoseconds(moment: float) -> int:
    return int(1e9 * moment)
