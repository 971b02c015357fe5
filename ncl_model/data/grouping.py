"""Groups: pictures made from the same source photographs, found by joining whatever shares a name."""

from __future__ import annotations

from collections.abc import Iterable


class Groups:
    """Disjoint sets of names (union-find). The name of a set is its smallest member, whatever the order of joining."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def join(self, names: Iterable[str]) -> None:
        """Put all these names, and whatever they were joined with, into one set."""
        first: str | None = None
        for name in names:
            root = self.find(name)
            if first is None or first == root:
                first = root
                continue
            first, other = min(first, root), max(first, root)
            self._parent[other] = first

    def find(self, name: str) -> str:
        """The name of the set ``name`` is in; a name never joined is a set of its own."""
        root = name
        while (parent := self._parent.setdefault(root, root)) != root:
            root = parent
        while (parent := self._parent[name]) != root:
            self._parent[name], name = root, parent
        return root
