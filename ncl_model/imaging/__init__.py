"""From the bytes of a file to pixels on a canvas. Needs numpy and pillow only."""
