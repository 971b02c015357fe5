"""Where the images and the reports of a project may be."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.domain.ids import Container

_FOLDER = "file://"


@dataclass(frozen=True, slots=True)
class Places:
    """URIs that what is read or written must begin with.

    In whole parts: `s3://bucket/a` allows `s3://bucket/a/b`, and not `s3://bucket/ab`.
    """

    #: None: any bucket, and no local folder
    beginnings: tuple[str, ...] | None = None

    def has(self, container: Container, key: str = "") -> bool:
        """Whether this object, or this prefix, is in one of them.

        What a prefix lists may be more than what is below it, and is asked for one by one.
        """
        if self.beginnings is None:
            return not container.startswith(_FOLDER)
        wanted = _parts(container, key)
        return any(f"{wanted}/".startswith(_parts(place) + "/") for place in self.beginnings)

    def __str__(self) -> str:
        return "any bucket" if self.beginnings is None else ", ".join(self.beginnings) or "nowhere"


def _parts(container: str, key: str = "") -> str:
    return f"{container.rstrip('/')}/{key}".rstrip("/")


#: what a project may use for which nothing was set
ANY_BUCKET = Places()
