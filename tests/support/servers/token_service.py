"""A stand-in for AWS's security token service: whoever assumes a role gets the same keys, and is written down."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

_ANSWER = """<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
<SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
<AssumedRoleUser><Arn>{role}/session</Arn><AssumedRoleId>ID:session</AssumedRoleId></AssumedRoleUser>
</{action}Result></{action}Response>"""
_REFUSAL = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>Not authorized to perform sts:{action}</Message></Error></ErrorResponse>"""


class TokenService:
    """Listens on the loopback until `close`."""

    def __init__(self, access_key: str, secret_key: str) -> None:
        self.keys = access_key, secret_key
        #: (action, role) of every request
        self.asked: list[tuple[str, str]] = []
        self.refuse = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(service: TokenService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            action, role = form["Action"][0], form["RoleArn"][0]
            service.asked.append((action, role))
            key, secret = service.keys
            template = _REFUSAL if service.refuse else _ANSWER
            body = template.format(action=action, role=role, key=key, secret=secret).encode()
            self.send_response(403 if service.refuse else 200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler
