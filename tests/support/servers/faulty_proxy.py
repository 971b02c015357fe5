"""An HTTP proxy in front of the test storage that misbehaves on order."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_NOT_PASSED_ON = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Refuse:
    """Answer with an error instead of asking the storage. Without a code: an empty body."""

    status: int
    code: str = ""

    @property
    def body(self) -> bytes:
        return (
            f"<Error><Code>{self.code}</Code><Message>Told to refuse.</Message></Error>".encode() if self.code else b""
        )


@dataclass(frozen=True)
class SlowDown(Refuse):
    """503 SlowDown: how S3 throttles."""

    status: int = 503
    code: str = "SlowDown"


@dataclass(frozen=True)
class BreakAfter:
    """Pass on the head and this many bytes of the body, then drop the connection."""

    body_bytes: int


@dataclass(frozen=True)
class Silence:
    """Take the request and say nothing for so long, then drop the connection."""

    seconds: float


@dataclass(frozen=True)
class Drip:
    """Pass on the head, then the body byte by byte, with so many seconds between two."""

    seconds: float


Fault = Refuse | BreakAfter | Silence | Drip

#: how a dripping bucket does it
_DRIP = Drip(0.5)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was shot in mid-sentence is nothing to talk about; anything else is."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class FaultyProxy:
    """Passes requests on to `upstream`; the first ones get the planned faults, one each."""

    def __init__(self, upstream: str) -> None:
        self.faults: deque[Fault] = deque()
        #: every request waits so long, as if the storage were far away
        self.latency_s = 0.0
        #: buckets of which nothing is heard: requests for them are taken and never answered
        self.silent_buckets: set[str] = set()
        #: buckets that drip: answers from them come byte by byte, and all of what is left once they drip no more
        self.dripping_buckets: set[str] = set()
        #: nobody is there: every connection is dropped at once
        self.is_shut = False
        #: the Range header of every request that came, None where there was none
        self.ranges: list[str | None] = []
        #: requests whose path ends so are refused so, as often as they come
        self.refusals: dict[str, Refuse] = {}
        #: called before a request for the rest of an object is passed on
        self.before_range: Callable[[], None] | None = None
        self._server = _Server(("127.0.0.1", 0), _handler(self, urlsplit(upstream).netloc))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def next_fault(self) -> Fault | None:
        """The fault that the next request gets."""
        try:
            return self.faults.popleft()
        except IndexError:
            return None

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(proxy: FaultyProxy, upstream: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # one request per connection: a dropped one is dropped for good, and no thread waits for the next
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            if proxy.is_shut:
                return
            bucket = urlsplit(self.path).path.split("/")[1]
            while bucket in proxy.silent_buckets:
                time.sleep(0.1)
            proxy.ranges.append(self.headers.get("Range"))
            if self.headers.get("Range") and proxy.before_range is not None:
                proxy.before_range()
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # else the client waits a second for it
                del self.headers["Expect"]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(proxy.latency_s)
            refusals = (refuse for end, refuse in proxy.refusals.items() if urlsplit(self.path).path.endswith(end))
            fault = next(refusals, None) or (_DRIP if bucket in proxy.dripping_buckets else proxy.next_fault())
            if isinstance(fault, Refuse):
                self._send(fault.status, [("Content-Length", str(len(fault.body)))], fault.body)
                return
            if isinstance(fault, Silence):
                time.sleep(fault.seconds)
                return
            # the Host header is signed: it goes on as it came
            connection = HTTPConnection(upstream, timeout=20)
            try:
                connection.request(self.command, self.path, body=body or None, headers=dict(self.headers.items()))
                self._pass_on(
                    connection.getresponse(), fault, lambda: fault is _DRIP and bucket not in proxy.dripping_buckets
                )
            finally:
                connection.close()

        def do_PUT(self) -> None:
            self.do_GET()

        def do_HEAD(self) -> None:
            self.do_GET()

        def _pass_on(self, answer: HTTPResponse, fault: BreakAfter | Drip | None, is_over: Callable[[], bool]) -> None:
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _NOT_PASSED_ON]
            body = answer.read()
            if isinstance(fault, Drip):
                self._send(answer.status, headers, b"")
                for place in range(len(body)):
                    if is_over():
                        self.wfile.write(body[place:])
                        return
                    time.sleep(fault.seconds)
                    self.wfile.write(body[place : place + 1])
                return
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
