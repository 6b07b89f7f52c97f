"""An OTLP/HTTP receiver in a process of its own: decodes what exporters send and writes it down, a line for each.

    python receiver.py FILE

The first line on standard output is the port. It ends when its standard input does.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

FILE = Path(sys.argv[1])
WRITING = threading.Lock()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert self.headers["Content-Type"] == "application/x-protobuf"
        if self.path == "/v1/traces":
            write(spans_of(ExportTraceServiceRequest.FromString(body)))
        elif self.path == "/v1/metrics":
            write(metrics_of(ExportMetricsServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def spans_of(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    return [
        {
            "trace": span.trace_id.hex(),
            "span": span.span_id.hex(),
            "parent": span.parent_span_id.hex(),
            "name": span.name,
            "start": span.start_time_unix_nano,
            "end": span.end_time_unix_nano,
            "status": span.status.code,
            "attributes": {one.key: one.value.string_value or one.value.int_value for one in span.attributes},
            "events": [event.name for event in span.events],
            "bytes": span.SerializeToString(deterministic=True).hex(),
        }
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def metrics_of(request: ExportMetricsServiceRequest) -> list[dict[str, Any]]:
    return [
        {"metric": metric.name, "told": MessageToDict(metric)}
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]


def write(lines: list[dict[str, Any]]) -> None:
    with WRITING, FILE.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


FILE.touch()
server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdout.write(f"{server.server_port}\n")
sys.stdout.flush()
sys.stdin.read()
os._exit(0)
