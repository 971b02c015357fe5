"""All model versions that can be hosted from here: the installed one, and those that copies were kept of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs.domain import Fingerprint
from jobs.errors import StorageError
from jobs.storage import S3Options
from nclscreen.catalog.installed_model import InstalledModel
from nclscreen.catalog.model_library import ModelLibrary
from nclscreen.catalog.model_version import SHIPPED, ModelVersion, WeightsNotFound


class ModelVersions:
    """The catalog of versions, by fingerprint."""

    def __init__(
        self,
        installed: InstalledModel,
        library: ModelLibrary,
        s3: S3Options,
        canary: Callable[[Fingerprint], Mapping[str, Any] | None] = lambda fingerprint: None,
    ) -> None:
        """`canary`: what was written down of a version, see `ModelVersion.canary`."""
        self._installed = installed
        self._library = library
        self._s3 = s3
        self._canary = canary

    def keep_installed(self) -> str | None:
        """Keep a copy of the installed weights, for jobs that are pinned to them when others are installed.

        Gives what is wrong where that cannot be: it is no reason not to work.
        """
        try:
            self._library.keep(self._installed.fingerprint, self._installed.weights)
        except (StorageError, OSError) as error:
            return f"no copy of the model's weights can be kept, jobs will need these very ones: {error}"
        return None

    def version(self, fingerprint: Fingerprint) -> ModelVersion:
        """The version of this fingerprint, with every place where its weights may be."""
        places = [self._library.place(fingerprint)]
        if fingerprint == self._installed.fingerprint:
            places.append(str(self._installed.weights))
        # a node of a cluster may have neither, but the package
        return ModelVersion(
            fingerprint=fingerprint,
            places=(*places, SHIPPED),
            s3=self._s3,
            canary=self._canary(fingerprint),
        )

    def keep(self, fingerprint: Fingerprint, weights: Path) -> str:
        """Copy weights to where every dispatcher finds them; gives the place. Raises StorageError, OSError."""
        self._library.keep(fingerprint, weights)
        return self._library.place(fingerprint)

    def local_weights(self, fingerprint: Fingerprint, folder: Path) -> Path:
        """A file of this machine with the version's weights, fetched into the folder where there was none.

        Raises WeightsNotFound.
        """
        if fingerprint == self._installed.fingerprint:
            return self._installed.weights
        path = folder / f"{fingerprint}.safetensors"
        try:
            if not path.exists():
                self._library.fetch(fingerprint, path)
        except (StorageError, OSError) as error:
            raise WeightsNotFound(fingerprint, str(error)) from error
        return path

    def obstacle(self, fingerprint: Fingerprint) -> str | None:
        """Why this version cannot be hosted from here; None where it can be."""
        try:
            if fingerprint == self._installed.fingerprint or self._library.has(fingerprint):
                return None
        except StorageError as error:
            return f"model versions cannot be looked up: {error}"
        return (
            "the weights of its model are not known here: "
            f"neither installed, nor at {self._library.place(fingerprint)}; "
            "NCLSCREEN_WEIGHTS says which are installed, NCLSCREEN_MODELS_URI where copies are kept"
        )
