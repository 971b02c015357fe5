"""The pages on an HTTP server of this process, with a job made by hand on them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from support.screened_jobs import ScreenedJob, Shot, screened_job
from support.tiny_model import save_tiny_model

from nclscreen.api import create_app
from nclscreen.pages import add_pages
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True)
class Site:
    """Pages that are served, and the job on them."""

    url: str
    job: ScreenedJob
    wiring: Wiring

    def page(self, path: str = "") -> str:
        """The address of a page of the job."""
        return f"{self.url}/jobs/{self.job.job.id}{path}"


@contextmanager
def site_with(root: Path, shots: Sequence[Shot]) -> Iterator[Site]:
    """A database and a folder of its own, and the application on them."""
    job = screened_job(root, shots)
    url = job.store._engine.url.render_as_string(hide_password=False)
    weights = save_tiny_model(root / "tiny.safetensors")
    wiring = Wiring(Settings(home=root / "home", database_url=url, weights=weights))
    app = create_app(wiring)
    add_pages(app)
    with served(app) as address:
        yield Site(url=address, job=job, wiring=wiring)
    wiring.engine.dispose()
    job.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of the application while it is served."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="page server")
        thread.start()
        try:
            assert server.listens.wait(30), "the server does not start"
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
