"""Copied regions within one photograph, found by keypoints and borne out by pixels. Knows numpy and OpenCV alone.

OpenCV is imported by the first search, not by importing this package.
"""

from ncl_model.copy_move.config import CopyMoveConfig, CopyWeights
from ncl_model.copy_move.evidence import CopiedPair, CopyMoveEvidence
from ncl_model.copy_move.finding import find_copies

__all__ = ["CopiedPair", "CopyMoveConfig", "CopyMoveEvidence", "CopyWeights", "find_copies"]
