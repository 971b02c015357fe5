"""Every threshold of the search for copied regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ncl_model.errors import ConfigInvalid


@dataclass(frozen=True, kw_only=True)
class CopyWeights:
    """Of the signs in ``weighing.CopySigns``, which explain themselves; fitted by logistic regression [ours]."""

    constant: float = 1.89
    area: float = 0.354
    inliers: float = 0.346
    sameness: float = 1.02
    brightness: float = -1.51
    colour: float = -1.49
    overlap: float = -4.69
    misfit: float = -0.543
    ratio: float = -5.04
    stretch: float = -6.67
    whole_shift: float = 1.04


@dataclass(frozen=True, kw_only=True)
class CopyMoveConfig:
    """Thresholds of ``find_copies``. All of them move verdicts, so all of them belong into a fingerprint.

    Lengths are in pixels of the canvas (the photograph at most ``canvas_side`` long) unless said otherwise.
    """

    #: longer photographs are reduced to this many pixels on the long side first
    canvas_side: int = 1024
    #: keypoints are found on a picture of this many pixels on the long side, enlarged at most ``most_enlarged`` times
    keypoint_side: int = 640
    most_enlarged: float = 2.0
    #: a canvas with a side below this is not searched
    least_side: int = 32

    #: SIFT's thresholds; both lenient, so that skin and sky have keypoints too
    contrast_threshold: float = 0.012
    edge_threshold: float = 12.0
    #: keypoints, spread over a grid of ``keypoint_cells`` x ``keypoint_cells``
    max_keypoints: int = 1800
    keypoint_cells: int = 12

    #: keypoints nearer than this, in pixels of the keypoint picture, are no match
    least_shift: float = 20.0
    #: neighbours of a descriptor that may be its matches: what is there more often counts as a repeated pattern
    max_repeats: int = 3
    #: distance of a match / distance of the first neighbour that is none
    max_ratio: float = 0.72
    #: distance of the descriptors of a match, 0 to the root of 2
    max_distance: float = 0.55
    #: matches that are looked at, the most distinct first
    max_matches: int = 1500

    #: two-match hypotheses that are looked at
    max_hypotheses: int = 1500
    #: how far from its place a match may land, in pixels of the keypoint picture
    tolerance: float = 3.0
    #: how far the turn and the zoom of its keypoints may be from the transform's: degrees, and a factor
    angle_tolerance_deg: float = 25.0
    scale_tolerance: float = 1.6
    #: copies are looked for from 1 / this to this size ...
    max_scale: float = 2.5
    #: ... and stretched in one direction up to this factor
    max_stretch: float = 1.6
    #: matches that a transform needs
    least_inliers: int = 3
    #: transforms that are verified on the pixels, as they are and mirrored
    max_candidates: int = 6
    #: pixels that are correlated, counted again each time, as a multiple of the canvas's
    max_looks: float = 3.0

    #: side of the windows that are correlated, pixels
    window: int = 9
    #: windows with a lower standard deviation, in grey levels, have no texture to correlate
    least_deviation: float = 2.0
    #: windows that correlate more belong to a copy
    grow_zncc: float = 0.6
    #: pixels that move less than this many pixels are not copied
    least_move: float = 12.0

    weights: CopyWeights = field(default_factory=CopyWeights)
    #: statistics from which a copy is reported as loose, and as strict evidence
    loose: float = 0.3
    strict: float = 1.25

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote. Raises ConfigInvalid for a field this version does not know."""
        try:
            return cls(**{**values, "weights": CopyWeights(**values["weights"])})
        except (KeyError, TypeError) as error:
            raise ConfigInvalid("copy_move", f"is not what this version writes ({error})") from error
