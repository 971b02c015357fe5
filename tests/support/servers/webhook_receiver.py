"""A real HTTP server that hears of jobs, and answers as a test wants it: with any status, late, or never."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One request."""

    path: str
    headers: dict[str, str]
    body: str


class WebhookReceiver:
    """Listens on 127.0.0.1 until it is closed."""

    def __init__(self) -> None:
        #: what the next requests are answered with: a status, "hang", "drip" or "drop"; 200 when there is none left
        self.answers: list[int | str] = []
        self.heard: list[Heard] = []
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/jobs?desk=1"

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, heard: Heard) -> int | str:
        with self._lock:
            self.heard.append(heard)
            return self.answers.pop(0) if self.answers else 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                heard = Heard(path=self.path, headers={k.lower(): v for k, v in self.headers.items()}, body=body)
                answer = receiver._take(heard)
                if answer == "hang":
                    receiver._closed.wait(30)
                elif answer == "drip":
                    self._drip()
                elif answer != "drop":
                    self.send_response(int(answer))
                    self.send_header("location", "/elsewhere")
                    self.send_header("content-length", "0")
                    self.end_headers()

            def _drip(self) -> None:
                """A byte of an endless header now and then: each one in time for the socket's own limit."""
                try:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
                    while not receiver._closed.wait(0.05):
                        self.wfile.write(b"x")
                except OSError:
                    return  # hung up on

            def log_message(self, *arguments: object) -> None:
                """Quiet."""

        return Handler
