"""A collector of traces: OTLP over HTTP with protobuf, as the OpenTelemetry Collector takes it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


@dataclass(frozen=True, kw_only=True)
class HeardSpan:
    """One span, in plain types."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    #: nanoseconds since the epoch
    began: int
    ended: int
    attributes: dict[str, str | int | float | bool]
    failed: bool
    service: str


class TraceCollector:
    """Listens on a free port until `close`; whatever is no proper request to /v1/traces gets 400."""

    def __init__(self) -> None:
        self.spans: list[HeardSpan] = []
        #: what it answers
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                proper = (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
                if proper and collector.status == 200:
                    collector.spans += _decoded(body)
                self.send_response(collector.status if proper else 400)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def named(self, name: str) -> list[HeardSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> HeardSpan:
        (found,) = self.named(name)
        return found

    def above(self, span: HeardSpan) -> str:
        """The name of its parent; empty where it has none that was sent."""
        return next((each.name for each in self.spans if each.span_id == span.parent_id), "")


def _decoded(body: bytes) -> list[HeardSpan]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    return [
        HeardSpan(
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            began=span.start_time_unix_nano,
            ended=span.end_time_unix_nano,
            attributes={each.key: _value(each) for each in span.attributes},
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
            service=next(str(_value(each)) for each in group.resource.attributes if each.key == "service.name"),
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _value(pair: KeyValue) -> str | int | float | bool:
    kind = pair.value.WhichOneof("value")
    assert kind in ("string_value", "int_value", "double_value", "bool_value")
    found: str | int | float | bool = getattr(pair.value, kind)
    return found
