"""One request to a receiver: bounded in time whatever it does, never led elsewhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from jobs.errors import JobsError
from jobs.webhooks.urls import check_webhook_url, is_forbidden_address


class NotDelivered(JobsError):
    """The receiver did not take the message. `for_good`: it never will."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        self.for_good = for_good
        super().__init__(reason)


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float, hosts: Collection[str] = ()) -> None:
    """Send the body; return when the receiver answered with 2xx within `timeout_s` seconds.

    `hosts`: the only ones allowed, in small letters; none mean all but those at link-local addresses. Redirects are
    not followed: the address was checked, where it leads was not. Raises InvalidWebhook, NotDelivered.
    """
    parts = check_webhook_url(url, hosts)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    # a receiver that sends a byte now and then would satisfy the socket's own limit for ever
    late = threading.Event()
    deadline = threading.Timer(timeout_s, _hang_up, [connection, late])
    deadline.daemon = True
    deadline.start()
    try:
        connection.connect()
        address = connection.sock.getpeername()[0]
        if not hosts and is_forbidden_address(address):
            raise NotDelivered(f"{parts.hostname} is at {address}, where no receiver may be", for_good=True)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, dict(headers))
        status = connection.getresponse().status
        if late.is_set():
            raise TimeoutError  # hung up on in the middle of its answer, which looks like the end of one
    except (OSError, HTTPException) as error:
        timed_out = late.is_set() or isinstance(error, TimeoutError)
        reason = f"no answer within {timeout_s:g} s" if timed_out else f"{type(error).__name__}: {error}"
        raise NotDelivered(reason) from error
    finally:
        deadline.cancel()
        connection.close()
    if 300 <= status < 400:
        raise NotDelivered(f"answered {status}: redirects are not followed; give the address it leads to")
    if not 200 <= status < 300:
        raise NotDelivered(f"answered {status}", for_good=status == 410)


def _hang_up(connection: HTTPConnection, late: threading.Event) -> None:
    late.set()
    with suppress(OSError, AttributeError):  # there is no socket yet, or no more
        connection.sock.shutdown(socket.SHUT_RDWR)
