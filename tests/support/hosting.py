"""A cluster in memory: applications that come up when they are told to."""

from __future__ import annotations

from collections.abc import Collection

from jobs.storage import S3Options
from nclscreen.catalog import ModelVersion
from nclscreen.hosting.applications import App, AppState, app_name


def hosted_name(fingerprint: str, database: str = "d1") -> str:
    """What the application of a model is called there."""
    return app_name(fingerprint, database)


class MemoryApps:
    """What several dispatchers see of one cluster; see `nclscreen.hosting.model_host.Apps`."""

    def __init__(self, database: str = "d1", cluster: MemoryApps | None = None) -> None:
        """`cluster`: another view of the cluster, whose applications these are, too."""
        self._database = database
        self.apps: dict[str, App] = {} if cluster is None else cluster.apps
        #: every call so far: "up NAME", "down NAME"
        self.calls: list[str] = [] if cluster is None else cluster.calls

    def name(self, fingerprint: str) -> str:
        return app_name(fingerprint, self._database)

    def found(self) -> dict[str, App]:
        return dict(self.apps)

    def bring_up(self, version: ModelVersion) -> None:
        name = self.name(version.fingerprint)
        self.calls.append(f"up {name}")
        self.apps[name] = App(state=AppState.STARTING)

    def take_down(self, names: Collection[str], *, wait: bool = False) -> None:
        for name in names:
            self.calls.append(f"down {name}")
            self.apps.pop(name, None)

    def set(self, fingerprint: str, state: AppState, message: str = "") -> None:
        self.apps[self.name(fingerprint)] = App(state=state, message=message)


class KnownVersions:
    """Versions whose weights are known; see `nclscreen.hosting.model_host.Versions`."""

    def __init__(self, *fingerprints: str) -> None:
        self.fingerprints = set(fingerprints)

    def version(self, fingerprint: str) -> ModelVersion:
        return ModelVersion(fingerprint=fingerprint, places=(), s3=S3Options())

    def obstacle(self, fingerprint: str) -> str | None:
        return None if fingerprint in self.fingerprints else "weights not known"
