"""The HTTP server: one process, which ends soon when it is told to, whoever listens to events still."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from jobs.errors import JobsError
from nclscreen.wiring import Wiring

#: callers that wait until the server is there
_WAITING = 128
#: for requests that are under way when the server ends; event streams would never end by themselves
_GRACE_S = 2


class AddressRefused(JobsError):
    """The server may not listen on this address, or cannot."""


def listening_socket(wiring: Wiring, host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any free one. Raises AddressRefused."""
    if not is_loopback(host) and not wiring.keys.any_in_use() and wiring.settings.proxy_user_header is None:
        raise AddressRefused(
            f"{host} can be reached by others, and there is no API key yet: whoever reaches it could see and do "
            "everything. Make one with: nclscreen keys create NAME --scope admin"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(_WAITING)  # whoever is told the address may come at once
    except OSError as error:
        found.close()
        raise AddressRefused(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port"
        ) from None
    return found


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Answer requests until the process is told to end."""
    _server(app).run(sockets=[listening])


@contextmanager
def serving(app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """Answer requests in a thread of its own while the block runs."""
    server = _server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_GRACE_S + 3)


def _server(app: FastAPI) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            # where logs are JSON, these are, too: see `nclscreen.logs`
            log_config=None if logging.getLogger("uvicorn").handlers else uvicorn.config.LOGGING_CONFIG,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )


def shown_address(listening: socket.socket) -> str:
    """`http://127.0.0.1:8080/`"""
    address, bound = listening.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    return f"http://{shown}:{bound}/"


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches it. Raises AddressRefused for what is no address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise AddressRefused(f"{host!r} is no address of this machine; write 127.0.0.1, ::1 or 0.0.0.0") from None
