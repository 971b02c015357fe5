"""The registry: model versions written down, promoted, rolled back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.domain import Fingerprint
from jobs.domain.registry import Alias, AliasMove, RegisteredVersion
from jobs.domain.times import instant
from nclscreen import __version__
from nclscreen.catalog import InstalledModel
from nclscreen.services import checks
from nclscreen.services.errors import InvalidRequest
from nclscreen.wiring import Wiring

_LONGEST_REASON = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """What a promotion did, or would do."""

    version: RegisteredVersion
    #: the champion before; None where nobody had said
    before: Fingerprint | None
    #: None where it was only tried
    move: AliasMove | None

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        moved = None if self.move is None else move_document(self.move)
        return {"version": version_document(self.version), "before": self.before, "move": moved}


def register(
    wiring: Wiring,
    weights: Path | None = None,
    *,
    parent: Fingerprint | None = None,
    run_id: str | None = None,
    snapshot: str | None = None,
    metrics: dict[str, Any] | None = None,
) -> RegisteredVersion:
    """Write a file of weights down as a version, and keep a copy where every dispatcher finds it.

    `weights`: None for those of this installation. `metrics`: those of the file, unless others are given. Raises the
    errors of a file that is no weights, StorageError, VersionDiffers.
    """
    from ncl_model.inference.canary import canary_of

    model = wiring.model if weights is None else InstalledModel(weights, wiring.settings.precision)
    place = wiring.versions.keep(model.fingerprint, model.weights)
    predictor = model.predictor()
    return wiring.registry.register(
        RegisteredVersion(
            fingerprint=model.fingerprint,
            name=model.checkpoint.name,
            version=model.checkpoint.version,
            weights_sha256=hashlib.sha256(model.weights.read_bytes()).hexdigest(),
            weights_uri=place,
            threshold=model.threshold(),
            metrics=metrics or dict(model.checkpoint.metrics),
            # a version of another device's arithmetic cannot be asked here
            canary=canary_of(predictor) if predictor.fingerprint == model.fingerprint else None,
            parent=parent,
            run_id=run_id,
            snapshot=snapshot,
            code_version=__version__,
        )
    )


def promote(
    wiring: Wiring,
    said: str,
    *,
    actor: str,
    reason: str | None = None,
    run_id: str | None = None,
    dry_run: bool = False,
) -> Promotion:
    """Have new jobs pinned to a version from now on; jobs that are there stay with theirs.

    `said`: a fingerprint, its beginning, or an alias. Before anything moves, the file is read, its fingerprint is
    computed, and what it says of the canary pictures is compared. Raises VersionNotFound, AmbiguousVersion,
    WeightsNotFound, CanaryFailed, AliasMoved.
    """
    said_why = checks.short_text("reason", reason, _LONGEST_REASON)
    version = wiring.registry.find(said)
    hosted = wiring.versions.version(version.fingerprint)
    predictor = hosted.predictor()  # there, whole, and what it says it is
    if predictor.fingerprint == version.fingerprint:
        hosted.check_canary(predictor)
    last = wiring.registry.current(Alias.CHAMPION)
    before = None if last is None else last.fingerprint
    if dry_run:
        return Promotion(version=version, before=before, move=None)
    if last is None:
        last = _name_installed(wiring)
    if last.fingerprint == version.fingerprint:
        return Promotion(version=version, before=version.fingerprint, move=last)
    move = wiring.registry.move(
        Alias.CHAMPION, version.fingerprint, actor=actor, expected=last.number, reason=said_why, run_id=run_id
    )
    return Promotion(version=version, before=last.fingerprint, move=move)


def roll_back(wiring: Wiring, *, actor: str, reason: str | None = None) -> AliasMove:
    """Have new jobs pinned to the champion before. Raises NothingToRollBack, AliasMoved, WeightsNotFound."""
    said_why = checks.short_text("reason", reason, _LONGEST_REASON)
    return wiring.registry.roll_back(Alias.CHAMPION, actor=actor, reason=said_why)


def served_at(wiring: Wiring, moment: str) -> AliasMove | None:
    """Which move of the champion held at an ISO 8601 moment. Raises InvalidRequest."""
    from nclscreen.quantities import moment as parse_moment

    seconds, relative = checks.parsed("at", lambda: parse_moment(moment, 0.0))
    if relative:
        raise InvalidRequest("at", "give a date or a time, such as 2026-05-17")
    return wiring.registry.at(Alias.CHAMPION, seconds)


def _name_installed(wiring: Wiring) -> AliasMove:
    """The first move: what was there before anybody promoted, so that there is something to go back to."""
    installed = register(wiring)
    return wiring.registry.move(
        Alias.CHAMPION, installed.fingerprint, actor="nclscreen", expected=0, reason="what was installed before"
    )


def version_document(version: RegisteredVersion) -> dict[str, Any]:
    """As JSON types."""
    return {
        "fingerprint": version.fingerprint,
        "name": version.name,
        "version": version.version,
        "threshold": version.threshold,
        "weights_sha256": version.weights_sha256,
        "weights_uri": version.weights_uri,
        "metrics": dict(version.metrics),
        "parent": version.parent,
        "run": version.run_id,
        "snapshot": version.snapshot,
        "code_version": version.code_version,
        "created_at": instant(version.created_at),
    }


def move_document(move: AliasMove) -> dict[str, Any]:
    """As JSON types."""
    return {
        "alias": move.alias.value,
        "number": move.number,
        "fingerprint": move.fingerprint,
        "actor": move.actor,
        "reason": move.reason,
        "run": move.run_id,
        "moved_at": instant(move.moved_at),
    }
