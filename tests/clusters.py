"""A cluster of Ray whose nodes are all on this machine."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from sweep.engine.on_ray.ray_cluster import without_side_services

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster


@contextmanager
def cluster_of(nodes: Iterable[dict[str, Any]]) -> Iterator[Cluster]:
    """Nodes with these resources, such as ``{"num_cpus": 2}``; each is drawn when it is started."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it writes a token into the user's home
        cluster = Cluster(shutdown_at_exit=False)
        try:
            with without_side_services(logs=False):
                for resources in nodes:
                    cluster.add_node(include_dashboard=False, **resources)
            with warnings.catch_warnings():
                # Ray forgets to close the sockets that it finds free ports with.
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
            yield cluster
        finally:
            cluster.shutdown()
