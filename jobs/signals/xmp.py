"""What an XMP packet says: the program, and the edits it wrote down. Searched as text: no XML parser sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

_TOOL = re.compile(rb"""xmp:CreatorTool\s*(?:=\s*["']([^"'<>]{1,200})["']|>\s*([^<]{1,200})<)""")
_STEP = re.compile(rb"""stEvt:action\s*(?:=\s*["']|>\s*)(saved|edited|converted|derived|cropped|resized|filtered)""")


@dataclass(frozen=True, kw_only=True)
class XmpPacket:
    """What was found."""

    tool: str | None = None
    #: steps that change a picture, as the program wrote them down
    edits: int = 0


def read_xmp(packet: bytes) -> XmpPacket:
    """Never raises."""
    found = _TOOL.search(packet)
    text = b"" if found is None else (found[1] or found[2])
    tool = unescape(text.decode("utf-8", "replace")).strip() or None
    return XmpPacket(tool=tool, edits=len(_STEP.findall(packet)))
