"""Model versions and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jobs.domain.ids import Fingerprint


class Alias(StrEnum):
    """A name that moves from version to version."""

    #: what new jobs are pinned to
    CHAMPION = "champion"
    #: what may become champion
    CHALLENGER = "challenger"


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredVersion:
    """A model version as the registry has it: written once, never changed."""

    #: sha256 hex over weights, preprocessing and arithmetic
    fingerprint: Fingerprint
    name: str
    version: str
    #: of the file with its weights
    weights_sha256: str
    weights_uri: str
    #: score from which it flags unless told otherwise, in [0, 1]
    threshold: float
    #: figures as its release or its gate saw them; plain JSON types
    metrics: Mapping[str, Any] = field(default_factory=dict)
    #: what it said of the canary pictures when it was registered, see `ncl_model.inference.canary`; None: not asked
    canary: Mapping[str, Any] | None = None
    #: the fingerprint it was trained on from
    parent: Fingerprint | None = None
    #: the run that made it, and the sha256 of what it was trained on
    run_id: str | None = None
    snapshot: str | None = None
    #: of nclscreen
    code_version: str
    #: seconds since the epoch; 0 before it is written
    created_at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class AliasMove:
    """An alias was given to a version. Only added to: what served at any time stays known."""

    alias: Alias
    #: counts the moves of this alias, from 1
    number: int
    #: None: it names nothing any more
    fingerprint: Fingerprint | None
    actor: str
    reason: str | None = None
    run_id: str | None = None
    #: seconds since the epoch
    moved_at: float
