"""The folder of a run, wherever it is: a local or shared one, or a bucket behind a pyarrow file system."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncl_model.training.run_names import CURVES, LOG, METRICS, WEIGHTS

#: what a resumed run adds to
_CONTINUED = (LOG, METRICS)
#: what people look at
_SHOWN = (WEIGHTS, LOG, METRICS, CURVES)


@dataclass(frozen=True, kw_only=True)
class RunPlace:
    """Where a run is kept. ``filesystem`` None: ``path`` is a folder that every worker sees at the same place."""

    path: str
    #: pyarrow.fs.FileSystem of ``path``, for example an S3FileSystem; it is sent to the workers
    filesystem: Any = None

    @property
    def is_folder(self) -> bool:
        return self.filesystem is None

    def local(self, scratch: Path) -> Path:
        """Where the leading worker writes: the folder itself, or ``scratch`` with what a resumed run adds to."""
        if self.is_folder:
            return Path(self.path)
        for name in _CONTINUED:
            if self._has(name):
                with (
                    self.filesystem.open_input_stream(f"{self.path}/{name}") as source,
                    (scratch / name).open("wb") as to,
                ):
                    shutil.copyfileobj(source, to)
        return scratch

    def publish(self, local: Path) -> None:
        """Bring what people look at from ``local`` to its place; nothing to do for a folder."""
        if self.is_folder:
            return
        self.filesystem.create_dir(self.path, recursive=True)
        for name in _SHOWN:
            if (local / name).is_file():
                with (
                    (local / name).open("rb") as source,
                    self.filesystem.open_output_stream(f"{self.path}/{name}") as to,
                ):
                    shutil.copyfileobj(source, to)

    def _has(self, name: str) -> bool:
        info = self.filesystem.get_file_info([f"{self.path}/{name}"])[0]
        return bool(info.is_file)
