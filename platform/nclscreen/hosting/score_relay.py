"""The other end of `RelayedScorer`: a process that is connected to Ray, and may die with it."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

from jobs.domain import Fingerprint
from jobs.errors import JobsError, ModelUnavailable
from jobs.ports import ScoredImage
from ncl_model.imaging.decoding import DecodedImage
from nclscreen.hosting.ray_connection import RayOptions, connected_ray
from nclscreen.hosting.scorer import ServeScorer


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One image for the hosted model."""

    number: int
    image: DecodedImage
    fingerprint: Fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What became of it."""

    number: int
    scored: ScoredImage | None = None
    error: JobsError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Connected:
    """The first thing said: where the cluster's head is, or why it is not reached."""

    #: "host:port"
    head: str | None = None
    error: JobsError | None = None


def relay(pipe: Connection, options: RayOptions, scorer: ServeScorer, at_once: int) -> None:
    """Ask the hosted models for whoever holds the other end of the pipe, until that end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who holds the other end
    try:
        with connected_ray(options):
            pipe.send(Connected(head=_head()))
            _answer(pipe, scorer, at_once)
    except JobsError as error:
        pipe.send(Connected(error=error))
    except (EOFError, BrokenPipeError):
        pass


def _head() -> str:
    import ray

    return str(ray.get_runtime_context().gcs_address)


def _answer(pipe: Connection, scorer: ServeScorer, at_once: int) -> None:
    lock = Lock()

    def one(asked: Asked) -> None:
        told = _told(scorer, asked)
        with lock:
            pipe.send(told)

    with ThreadPoolExecutor(at_once) as pool:
        while True:
            asked: Any = pipe.recv()
            pool.submit(one, asked)


def _told(scorer: ServeScorer, asked: Asked) -> Told:
    try:
        (scored,) = scorer.score([asked.image], asked.fingerprint)
    except JobsError as error:
        return Told(number=asked.number, error=error)
    except Exception as error:  # noqa: BLE001 - whatever Ray says of itself
        away = ModelUnavailable(f"the cluster does not answer ({type(error).__name__}: {error})".splitlines()[0])
        return Told(number=asked.number, error=away)
    return Told(number=asked.number, scored=scored)
