"""One labelled photograph, as every reader gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ncl_model.data.masks import MaskColour


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One labelled photograph; nothing of it is read yet."""

    image: Path
    #: picture of the same size that marks what was tampered with; None = authentic, unless ``unmasked``
    mask: Path | None
    #: samples of one group share source photographs and stay on one side of any split
    group: str
    #: PNG of the same size, one grey value per region a person drew: object shapes to cut; None = there is none
    regions: Path | None = None
    #: what is tampered in the mask
    tampered_colour: MaskColour = "white"
    #: with a mask: picture of the same size that marks white where the mask says something; None: everywhere
    known: Path | None = None
    #: tampered with, but no mask says where: good for image figures, and learnt from by its label alone
    unmasked: bool = False
    #: where the sample is named, for messages: a list and its line
    origin: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.unmasked and self.mask is not None:
            raise ValueError("a sample with a mask is not unmasked")
        if self.known is not None and self.mask is None:
            raise ValueError("where a mask is known needs a mask")

    @property
    def tampered(self) -> bool:
        """The label of the whole photograph."""
        return self.unmasked or self.mask is not None

    @property
    def whole_mask(self) -> Path | None:
        """The mask, if it says something of every pixel: what figures and thresholds can be had from."""
        return self.mask if self.known is None else None

    @property
    def where(self) -> str:
        """The origin, or the image itself when no list names it."""
        return self.origin or str(self.image)
