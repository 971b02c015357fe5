"""`serve`: the HTTP API and the pages; `up` has them, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from nclscreen.cli import output
from nclscreen.logs import log_json
from nclscreen.wiring import LIVE_S, Wiring, wire

if TYPE_CHECKING:
    from fastapi import FastAPI

    from nclscreen.services.live_scoring import HostedScorer

Host = Annotated[
    str, typer.Option(help="Address to listen on; 0.0.0.0 is every address of this machine, and takes an API key.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")]


def serve(host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Answer over HTTP until Ctrl-C: submit, look at, and steer jobs, query verdicts, fetch pictures. Needs no Ray."""
    from nclscreen.api.server import listening_socket, shown_address
    from nclscreen.api.server import serve as answer

    wiring = wire()
    if wiring.settings.log_format == "json":
        log_json(output.err)
    wiring.jobs.latest(1)  # an unusable database shows at once
    with listening_socket(wiring, host, port) as listening:
        output.err.print(
            f"serving {shown_address(listening)} for people, /v1 for programs (/openapi.json); stop with Ctrl-C"
        )
        _tell_of_keys(wiring)
        relayed = wiring.relayed_scorer() if wiring.settings.ray_address is not None else None
        try:
            answer(_app(wiring, host, relayed), listening)
        finally:
            if relayed is not None:
                relayed.close()


@contextmanager
def served(wiring: Wiring, host: str, port: int | None) -> Iterator[None]:
    """The same beside a running session, while the block runs; None for no port.

    A taken port is told, and no obstacle.
    """
    from nclscreen.api.server import AddressRefused, listening_socket, serving, shown_address

    if port is None:
        yield
        return
    try:
        listening = listening_socket(wiring, host, port)
    except AddressRefused as error:
        output.err.print(f"note: no pages and no API from here: {error}", markup=False)
        yield
        return
    scorer = wiring.hosted_scorer(attempts=1, timeout_s=LIVE_S)
    with listening, serving(_app(wiring, host, scorer), listening):
        output.err.print(f"pages {shown_address(listening)}, API /v1")
        _tell_of_keys(wiring)
        yield


def _app(wiring: Wiring, host: str, scorer: HostedScorer | None) -> FastAPI:
    from nclscreen.api import create_app
    from nclscreen.api.server import is_loopback
    from nclscreen.pages import add_pages

    app = create_app(wiring, open_without_keys=is_loopback(host), scorer=scorer)
    add_pages(app)
    return app


def _tell_of_keys(wiring: Wiring) -> None:
    if not wiring.keys.any_in_use():
        output.err.print("everybody on this machine may see and do everything, as long as there is no API key")
