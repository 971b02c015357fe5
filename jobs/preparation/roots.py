"""Which folder it is that lies at a place now, frozen with each image of a list: a mount may go away later."""

from __future__ import annotations

from dataclasses import replace

from jobs.domain import Container, ImageRef
from jobs.errors import JobsError
from jobs.storage import OpenStorage

#: folders remembered; a list may name files in millions of them
_MOST = 4096


class Roots:
    """The identities of folders, each looked at once."""

    def __init__(self, open_storage: OpenStorage) -> None:
        self._open = open_storage
        self._known: dict[Container, str | None] = {}

    def frozen(self, image: ImageRef) -> ImageRef:
        """The image with the identity of its folder, as far as it has one."""
        return image if (root := self._of(image.container)) is None else replace(image, root=root)

    def _of(self, container: Container) -> str | None:
        if not container.startswith("file:"):
            return None
        if container not in self._known:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[container] = self._look(container)
        return self._known[container]

    def _look(self, container: Container) -> str | None:
        try:
            return self._open(container).identity()
        except JobsError:
            return None  # it is not there: reading its images says so
