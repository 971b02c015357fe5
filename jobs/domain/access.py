"""Who may see and do what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from jobs.domain.places import ANY_BUCKET, Places

#: owns jobs and keys
ProjectName = NewType("ProjectName", str)

#: what jobs belong to when nothing else is said
DEFAULT_PROJECT = ProjectName("default")


class Scope(StrEnum):
    """What a key is good for, within its project."""

    #: look at jobs, verdicts, pictures, reviews
    READ = "read"
    #: submit jobs and tell them what to do
    SUBMIT = "submit"
    #: say what images are
    REVIEW = "review"
    #: everything, also keys
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """What jobs and keys belong to."""

    name: ProjectName
    #: where the images and reports of its jobs may be
    places: Places = ANY_BUCKET


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """A key as it is known here: not the key itself. Times are seconds since the epoch."""

    #: part of the key, and no secret
    id: str
    project: ProjectName
    #: of the person or program that has it
    name: str
    scopes: frozenset[Scope]
    created_at: float
    #: None: it does not expire
    expires_at: float | None = None
    last_used_at: float | None = None
    revoked_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks, and for what he is let in."""

    #: for reviews and the audit log
    name: str
    scopes: frozenset[Scope]
    #: whose jobs he sees; None: all
    project: ProjectName | None
    #: the key he came with; None without one
    key_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether he is let in for this."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


#: whoever is at this machine, where there are no keys
OPERATOR = Caller(name="operator", scopes=frozenset(Scope), project=None)
