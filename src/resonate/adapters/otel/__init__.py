"""OpenTelemetry: traces and metrics of durable executions, through the providers of the process."""

from __future__ import annotations

from resonate.adapters.otel.telemetry import OTel

__all__ = ["OTel"]
