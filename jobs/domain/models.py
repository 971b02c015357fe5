"""Which model a job is pinned to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRef:
    """The model version a job is pinned to."""

    name: str
    #: sha256 over weights, preprocessing and numeric precision, in hex
    fingerprint: str
