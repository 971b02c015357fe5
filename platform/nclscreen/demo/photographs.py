"""Public-domain and CC0 photographs that ship inside Python packages. Nothing is downloaded; see docs/demo.md."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from jobs.errors import JobsError
from ncl_model.imaging.pixels import to_rgb


class DemoPhotographsMissing(JobsError):
    """The photographs of the demo are not installed."""

    def __init__(self, package: str, file: str) -> None:
        self.package = package
        self.file = file
        super().__init__(f"the demo needs {file} of {package}; install it with: pip install 'nclscreen[demo]'")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One photograph: where it is, whose it is, and why it may be used."""

    name: str
    package: str
    #: path inside the package's folder
    file: str
    licence: str


SOURCES = (
    Source(name="astronaut", package="skimage", file="data/astronaut.png", licence="public domain (NASA)"),
    Source(name="cat", package="skimage", file="data/chelsea.png", licence="CC0 (Stefan van der Walt)"),
    Source(name="coffee", package="skimage", file="data/coffee.png", licence="CC0 (Rachel Michetti)"),
    Source(name="rocket", package="skimage", file="data/rocket.jpg", licence="public domain (SpaceX)"),
    Source(name="retina", package="skimage", file="data/retina.jpg", licence="CC0 (Mikael Häggström)"),
    Source(name="camera", package="skimage", file="data/camera.png", licence="CC0 (Lav Varshney)"),
    Source(
        name="clock", package="skimage", file="data/clock_motion.png", licence="public domain (Stefan van der Walt)"
    ),
    Source(
        name="admiral",
        package="matplotlib",
        file="mpl-data/sample_data/grace_hopper.jpg",
        licence="public domain (United States Navy)",
    ),
)


def load_photographs() -> dict[str, Image.Image]:
    """All photographs by name, mode RGB. Raises DemoPhotographsMissing."""
    return {source.name: _load(source) for source in SOURCES}


def is_grey(photo: Image.Image) -> bool:
    """Whether an RGB photograph has no colour."""
    pixels = np.asarray(photo)
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())


def _load(source: Source) -> Image.Image:
    # not skimage.data.*(): those functions download what they do not find
    package = find_spec(source.package)
    if package is None or package.origin is None:
        raise DemoPhotographsMissing(source.package, source.file)
    try:
        with Image.open(Path(package.origin).parent / source.file) as image:
            return to_rgb(image)
    except OSError:
        raise DemoPhotographsMissing(source.package, source.file) from None
