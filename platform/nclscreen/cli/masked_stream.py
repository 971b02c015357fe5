"""Standard output and error of the program: whatever is written there, secrets are masked on the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from jobs.masking import masked


class MaskedStream:
    """A text stream before another one. What one call writes is masked as a whole."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(masked(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def masked_streams() -> Iterator[None]:
    """Standard output and error are masked meanwhile."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and cast("TextIO", MaskedStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def unmasked(stream: TextIO) -> TextIO:
    """The stream behind it, for documents whose fields were looked at one by one."""
    return stream.stream if isinstance(stream, MaskedStream) else stream
