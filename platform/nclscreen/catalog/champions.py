"""The model that new jobs are pinned to: the champion of the registry, else that of this installation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs.domain import Fingerprint
from jobs.domain.registry import AliasMove
from nclscreen.catalog.installed_model import InstalledModel
from nclscreen.catalog.model_version import WeightsNotFound
from nclscreen.catalog.model_versions import ModelVersions


@dataclass(frozen=True, kw_only=True)
class HowToRead:
    """What is the same for every version that is read here."""

    #: where weights are copied to that are not on this machine
    folder: Path
    #: score from which the operator flags; None: as the version suggests
    threshold: float | None
    #: what replicas compute on
    device: Literal["cpu", "cuda"]


class Champions:
    """Versions that were champion while this process ran, each read once."""

    def __init__(self, installed: InstalledModel, versions: Callable[[], ModelVersions], how: HowToRead) -> None:
        """`versions`: asked only where the champion is not the installed one."""
        self._installed = installed
        self._versions = versions
        self._how = how
        self._lock = threading.Lock()
        self._read: dict[Fingerprint, InstalledModel] = {}

    def model(self, fingerprint: Fingerprint | None) -> InstalledModel:
        """The version of this fingerprint; None: the installed one. Raises WeightsNotFound."""
        if fingerprint is None or fingerprint == self._installed.fingerprint:
            return self._installed
        with self._lock:
            if fingerprint not in self._read:
                self._read[fingerprint] = self._load(fingerprint)
            return self._read[fingerprint]

    def _load(self, fingerprint: Fingerprint) -> InstalledModel:
        path = self._versions().local_weights(fingerprint, self._how.folder)
        precisions: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
        for precision in precisions:
            found = InstalledModel(path, precision, self._how.threshold, device=self._how.device)
            if found.fingerprint == fingerprint:
                return found
        raise WeightsNotFound(fingerprint, f"{path} holds other weights, or they are for another device")


def serving(moves: Sequence[AliasMove], installed: Fingerprint) -> list[Fingerprint]:
    """Fingerprints that single photographs are scored by: the champion, and the one before it, which stands in for it.

    `moves`: all of the champion's, the first one first; `installed`: the fingerprint where none was named.
    """
    named = [installed if move.fingerprint is None else move.fingerprint for move in reversed(moves)]
    return list(dict.fromkeys(named or [installed]))[:2]
