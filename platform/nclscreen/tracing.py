"""Traces, sent where OpenTelemetry's standard variables name a collector; without these nothing of it is loaded."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from jobs import spans

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

    from nclscreen.otlp import OtlpSpans

logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: seconds that the end of a program waits for its last spans to be sent
_LAST_S = 1.0
#: asked for every few seconds, by machines and by pages that are open
_UNTRACED = ("/healthz", "/readyz", "/metrics", "/static/")

_collected: OtlpSpans | None = None


def start_tracing() -> None:
    """Keep spans from now on, if the environment says where to send them; what is missing for that is told."""
    global _collected  # noqa: PLW0603 - one for the process, as with logging
    if _collected is not None or not _wanted():
        return
    try:
        from nclscreen.otlp import OtlpSpans
    except ImportError as error:
        logger.warning("no traces are sent: %s; install nclscreen[traces]", error)
        return
    _collected = OtlpSpans()
    spans.listen(_collected)


def stop_tracing() -> None:
    """Keep no more spans; send what waits, as far as that goes within a second."""
    global _collected  # noqa: PLW0603
    if _collected is not None:
        spans.listen(None)
        _collected.close(_LAST_S)
        _collected = None


def telemetry_of_requests() -> TelemetryConfig:
    """For `FastAPI(telemetry=...)`: spans of requests where traces are sent, and nothing else of it."""
    return {
        "tracing": _collected is not None,
        "tracer_provider": None if _collected is None else _collected.provider,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": lambda scope: str(scope["path"]).startswith(_UNTRACED),
    }


def _wanted() -> bool:
    env = os.environ
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or env.get("OTEL_TRACES_EXPORTER", "otlp").strip() != "otlp":
        return False
    if not any(env.get(name) for name in _ENDPOINTS):
        return False
    protocol = next((env[name] for name in _PROTOCOLS if env.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        logger.warning("no traces are sent: they go by http/protobuf, and %s asks for %s", _PROTOCOLS[1], protocol)
    return protocol == "http/protobuf"
