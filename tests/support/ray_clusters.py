"""Clusters of Ray of several nodes, as processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from nclscreen.hosting.ray_token import read_tokens_anew

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster


@contextmanager
def cluster_of(*nodes: dict[str, Any]) -> Iterator[Cluster]:
    """A head and further nodes by what `Cluster.add_node` takes, without tokens, whatever this process had before.

    Any of them may be dead at the end.
    """
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        read_tokens_anew()
        made = Cluster()
        try:
            for number, node in enumerate(nodes):
                made.add_node(**node, **({} if number else {"include_dashboard": False}))
            made.wait_for_nodes()
            yield made
        finally:
            made.shutdown()
    read_tokens_anew()
