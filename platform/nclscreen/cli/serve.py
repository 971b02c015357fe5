"""`serve`: the HTTP API and the pages."""

from __future__ import annotations

from typing import Annotated

import typer

from nclscreen.cli import output
from nclscreen.wiring import wire


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every address of this machine, and takes an API key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")] = 8080,
) -> None:
    """Answer over HTTP until Ctrl-C: submit, look at, and steer jobs, query verdicts, fetch pictures. Needs no Ray."""
    from nclscreen.api import create_app
    from nclscreen.api.server import is_loopback, listening_socket
    from nclscreen.api.server import serve as answer
    from nclscreen.pages import add_pages

    wiring = wire()
    wiring.jobs.latest(1)  # an unusable database shows at once
    with listening_socket(wiring, host, port) as listening:
        address, bound = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        output.err.print(
            f"serving http://{shown}:{bound}/ for people, /v1 for programs (/openapi.json); stop with Ctrl-C"
        )
        if not wiring.keys.any_in_use():
            output.err.print("everybody on this machine may see and do everything, as long as there is no API key")
        app = create_app(wiring, open_without_keys=is_loopback(address))
        add_pages(app)
        answer(app, listening)
