"""Hosted models asked through a process of their own.

A process that is connected to Ray is ended by Ray when the head of the cluster dies. Pages and queries have to live on,
so they keep no connection; the one who does may die, and is started again when somebody asks.
"""

from __future__ import annotations

import itertools
import multiprocessing
import re
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from jobs.domain import Fingerprint
from jobs.errors import ModelUnavailable
from jobs.ports import ScoredImage
from ncl_model.imaging.decoding import DecodedImage
from nclscreen.hosting.ray_connection import RayOptions
from nclscreen.hosting.score_relay import Asked, Connected, Told, relay
from nclscreen.hosting.scorer import ServeScorer

#: how long a process may take to start and to reach the cluster
_START_S = 30.0
#: how often the cluster's head is asked whether it is there, while somebody waits, and how long it may take
_LOOK_EVERY_S, _LOOK_S = 0.5, 1.0
#: an address that can be asked; "auto" cannot
_PLACE = re.compile(r"[\w.\-\[\]:]+:[0-9]+")


class RelayedScorer:
    """Scores one image at a time for each who asks; thread-safe. Knows within two seconds that a cluster is gone."""

    def __init__(self, options: RayOptions, scorer: ServeScorer, *, at_once: int = 8, timeout_s: float = 60.0) -> None:
        """`scorer`: tries once; asking again is for those who hear of it."""
        self._options = options
        self._scorer = scorer
        self._at_once = at_once
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._line: _Line | None = None

    def score(self, images: Sequence[DecodedImage], fingerprint: Fingerprint) -> list[ScoredImage]:
        """See `jobs.ports.Scorer.score`."""
        return [self._connected().ask(image, fingerprint, self._timeout_s) for image in images]

    def close(self) -> None:
        with self._lock:
            if self._line is not None:
                self._line.end()
                self._line = None

    def _connected(self) -> _Line:
        place = self._options.address or ""
        if _PLACE.fullmatch(place) and not _answers(place):  # starting would take long to find out
            raise ModelUnavailable(f"no cluster answers at {place}")
        with self._lock:  # one starts it, the others wait for it
            if self._line is not None and not self._line.alive:
                self._line.end()
                self._line = None
            if self._line is None:
                self._line = _Line(self._options, self._scorer, self._at_once)
            return self._line


class _Line:
    """A process, and who waits for what from it."""

    def __init__(self, options: RayOptions, scorer: ServeScorer, at_once: int) -> None:
        """Raises ModelUnavailable."""
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        arguments = (theirs, options, scorer, at_once)
        self._process: SpawnProcess = context.Process(target=relay, args=arguments, name="score relay", daemon=True)
        self._pipe: Connection = ours
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[ScoredImage]] = {}
        self._lock = threading.Lock()
        self._process.start()
        theirs.close()
        self._head = self._greeted()
        threading.Thread(target=self._listen, name="score relay", daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, image: DecodedImage, fingerprint: Fingerprint, timeout_s: float) -> ScoredImage:
        """Raises ModelUnavailable, ModelFailed, ModelMismatch."""
        future: Future[ScoredImage] = Future()
        number = next(self._numbers)
        with self._lock:
            self._waiting[number] = future
            try:
                self._pipe.send(Asked(number=number, image=image, fingerprint=fingerprint))
            except OSError:
                self._hang_up()
        try:
            return self._waited(future, timeout_s)
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _waited(self, future: Future[ScoredImage], timeout_s: float) -> ScoredImage:
        give_up = time.monotonic() + timeout_s
        while True:
            try:
                return future.result(_LOOK_EVERY_S)
            except NotYet:
                if not _answers(self._head):
                    self._process.kill()
                    raise ModelUnavailable(f"no cluster answers at {self._head} any more") from None
                if time.monotonic() >= give_up:
                    raise ModelUnavailable(f"the hosted model does not answer within {timeout_s:g} seconds") from None

    def _greeted(self) -> str:
        said: Connected | None = None
        try:
            if self._pipe.poll(_START_S):
                said = self._pipe.recv()
        except (EOFError, OSError):
            pass
        if said is None or said.head is None:
            self._process.kill()
            why = said.error if said is not None else "the process that asks it could not be started"
            raise ModelUnavailable(f"no model can be asked: {why}")
        return said.head

    def _listen(self) -> None:
        while True:
            try:
                told: Told = self._pipe.recv()
            except (EOFError, OSError):
                with self._lock:
                    self._hang_up()
                return
            with self._lock:
                future = self._waiting.pop(told.number, None)
            if future is None:
                continue
            if told.scored is not None:
                future.set_result(told.scored)
            else:
                future.set_exception(told.error or ModelUnavailable("the hosted model gave no answer"))

    def _hang_up(self) -> None:
        """Nobody answers any more."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(ModelUnavailable("the connection to the cluster broke down; ask again"))


def _answers(head: str) -> bool:
    host, _, port = head.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LOOK_S).close()
    except OSError:
        return False
    return True
