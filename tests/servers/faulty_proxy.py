"""An HTTP proxy in front of the test store that misbehaves on order."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_NOT_PASSED_ON = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class SlowDown:
    """Answer 503 SlowDown instead of asking the store."""


@dataclass(frozen=True)
class BreakAfter:
    """Pass on the head and this many bytes of the body, then drop the connection."""

    body_bytes: int


Fault = SlowDown | BreakAfter


class FaultyProxy:
    """Passes requests on to `upstream`; the first ones get the planned faults, one each."""

    def __init__(self, upstream: str) -> None:
        self.faults: deque[Fault] = deque()
        #: the Range header of every request that came, None where there was none
        self.ranges: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, urlsplit(upstream).netloc))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(proxy: FaultyProxy, upstream: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # one request per connection: a dropped one is dropped for good, and no thread waits for the next
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            proxy.ranges.append(self.headers.get("Range"))
            fault = proxy.faults.popleft() if proxy.faults else None
            if isinstance(fault, SlowDown):
                self._send(503, [("Content-Length", str(len(_SLOW_DOWN)))], _SLOW_DOWN)
                return
            # the Host header is signed: it goes on as it came
            connection = HTTPConnection(upstream, timeout=20)
            try:
                connection.request("GET", self.path, headers=dict(self.headers.items()))
                answer = connection.getresponse()
                self._pass_on(answer, fault)
            finally:
                connection.close()

        def _pass_on(self, answer: HTTPResponse, fault: BreakAfter | None) -> None:
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _NOT_PASSED_ON]
            body = answer.read()
            self._send(answer.status, headers, body if fault is None else body[: fault.body_bytes])

        def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler
