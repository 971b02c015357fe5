"""What may be wrong with a question to the registry, or a move in it."""

from __future__ import annotations

from jobs.domain import Fingerprint
from jobs.errors import JobsError


class VersionNotFound(JobsError):
    """No model version is registered under this name."""

    def __init__(self, said: str) -> None:
        self.said = said
        super().__init__(f"there is no model version {said!r}: give a fingerprint, its beginning, or an alias")


class AmbiguousVersion(JobsError):
    """Several model versions begin so."""

    def __init__(self, said: str) -> None:
        self.said = said
        super().__init__(f"several model versions begin with {said!r}; give more of the fingerprint")


class VersionDiffers(JobsError):
    """The version is registered already, and otherwise: versions never change."""

    def __init__(self, fingerprint: Fingerprint, what: str) -> None:
        self.fingerprint = fingerprint
        self.what = what
        super().__init__(f"model {fingerprint[:12]} is registered already, with another {what}")


class AliasMoved(JobsError):
    """Somebody else moved the alias meanwhile."""

    def __init__(self, alias: str, fingerprint: Fingerprint | None) -> None:
        self.alias = alias
        self.fingerprint = fingerprint
        now = "nothing" if fingerprint is None else fingerprint[:12]
        super().__init__(f"{alias} was moved meanwhile: it is {now} now; look, and ask again")


class NothingToRollBack(JobsError):
    """The alias has named nothing before."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        super().__init__(f"{alias} has named no other version before")
