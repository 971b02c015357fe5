"""What may be wrong with who asks."""

from __future__ import annotations

from jobs.errors import JobsError


class KeyRefused(JobsError):
    """Nobody is let in with this key or session."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the key is refused: {reason}")


class KeyNotFound(JobsError):
    """There is no key of this id."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"there is no key {key_id!r}")


class ProjectNotFound(JobsError):
    """There is no project of this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is no project {name!r}")


class InvalidProject(JobsError):
    """A project cannot be called so."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"no project can be made with the name {name!r}: {reason}")
