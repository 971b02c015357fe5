"""A pooler in front of PostgreSQL that deals out its connections by the transaction, as PgBouncer does.

As little of it as tests need: no passwords, no TLS, no cancelling. Whoever begins gets the connection that was given
back last; it is given back when the server says that no transaction is open.
"""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType

_STARTUP = 196608
_SSL_REQUEST = 80877103
#: what a client may cancel by: the pooler's own, as PgBouncer does it
_OWN_KEY = struct.pack(">II", 4711, 0)
#: messages of a client after which the server says that it is ready
_ENDS = frozenset({b"Q", b"S", b"F"})


class _Backend:
    """One connection to the server."""

    def __init__(self, port: int, startup: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(struct.pack(">I", len(startup) + 4) + startup)
        #: what the server says at the beginning: every client hears it, too
        self.greeting = b""
        while True:
            kind, body = read_message(self.socket)
            if kind == b"K":
                body = _OWN_KEY
            self.greeting += kind + struct.pack(">I", len(body) + 4) + body
            if kind == b"Z":
                return
            assert kind != b"E", body


class TransactionPooler:
    """Listens on a port of its own until the block ends."""

    def __init__(self, server_port: int, *, connections: int) -> None:
        self._server_port = server_port
        self._room = threading.Semaphore(connections)
        self._idle: dict[bytes, list[_Backend]] = {}
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> TransactionPooler:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for each in [*self._open, *(backend.socket for idle in self._idle.values() for backend in idle)]:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            startup = self._startup(client)
            backend = self._take(startup)
            client.sendall(backend.greeting)
            self._give_back(startup, backend)
            while self._transaction(client, startup):
                pass
        except (OSError, EOFError):
            pass
        finally:
            client.close()

    def _startup(self, client: socket.socket) -> bytes:
        while True:
            body = read_exactly(client, struct.unpack(">I", read_exactly(client, 4))[0] - 4)
            if struct.unpack(">I", body[:4])[0] != _SSL_REQUEST:
                return body
            client.sendall(b"N")

    def _transaction(self, client: socket.socket, startup: bytes) -> bool:
        """From the first message to the end of the transaction; whether the client stays."""
        kind, body = read_message(client)
        if kind == b"X":
            return False
        backend = self._take(startup)
        try:
            while True:
                backend.socket.sendall(kind + struct.pack(">I", len(body) + 4) + body)
                if kind in _ENDS and self._answer(client, backend):
                    return True
                kind, body = read_message(client)
        finally:
            self._give_back(startup, backend)

    def _answer(self, client: socket.socket, backend: _Backend) -> bool:
        """Pass the server's answer on; whether no transaction is open behind it."""
        while True:
            kind, body = read_message(backend.socket)
            client.sendall(kind + struct.pack(">I", len(body) + 4) + body)
            if kind == b"Z":
                return body == b"I"

    def _take(self, startup: bytes) -> _Backend:
        assert self._room.acquire(timeout=30), "every connection is in use"
        with self._lock:
            idle = self._idle.setdefault(startup, [])
            if idle:
                return idle.pop()
        return _Backend(self._server_port, startup)

    def _give_back(self, startup: bytes, backend: _Backend) -> None:
        with self._lock:
            self._idle[startup].append(backend)
        self._room.release()


def read_message(source: socket.socket) -> tuple[bytes, bytes]:
    """A message's kind and body. Raises EOFError."""
    kind = read_exactly(source, 1)
    return kind, read_exactly(source, struct.unpack(">I", read_exactly(source, 4))[0] - 4)


def read_exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = source.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
