"""Photographs and heatmaps as people look at them, always on the same fixed scale from 0 to 1."""

from nclscreen.pictures.comparison import comparison
from nclscreen.pictures.copies import draw_copies
from nclscreen.pictures.drawn import coloured_drawing
from nclscreen.pictures.overlay import overlay
from nclscreen.pictures.photo import upright_photo

__all__ = ["coloured_drawing", "comparison", "draw_copies", "overlay", "upright_photo"]
