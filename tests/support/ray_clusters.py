"""Clusters of Ray of several nodes, as processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from nclscreen.hosting.ray_token import read_tokens_anew

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

#: a node that was killed is missed after five seconds instead of twenty
_HEALTH_CHECKS = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000}


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
                of_head = {"include_dashboard": False, "_system_config": _HEALTH_CHECKS}
                made.add_node(**node, **({} if number else of_head))
            made.wait_for_nodes()
            yield made
        finally:
            made.shutdown()
    read_tokens_anew()
