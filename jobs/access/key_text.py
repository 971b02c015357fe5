"""An API key as text: `ncl_ID_SECRET_CHECK`. The check tells a mistyped key from a wrong one, without a database."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass

from jobs.access.errors import KeyRefused

_FORM = re.compile(r"ncl_([0-9a-f]{12})_([0-9a-f]{64})_([0-9a-f]{8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key that is well formed; whether it is known is another question."""

    #: no secret: it names the key in lists and logs
    id: str
    #: what the holder sends
    text: str

    @classmethod
    def new(cls) -> KeyText:
        """A key of 256 random bits."""
        key_id = secrets.token_hex(6)
        body = f"ncl_{key_id}_{secrets.token_hex(32)}"
        return cls(key_id, f"{body}_{_check(body)}")

    @classmethod
    def parse(cls, text: str) -> KeyText:
        """What somebody sent. Raises KeyRefused."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise KeyRefused("it does not look like ncl_..., as it was shown when it was made")
        if _check(text.rpartition("_")[0]) != found[3]:
            raise KeyRefused("it is mistyped or cut short")
        return cls(found[1], text)

    @property
    def sha256(self) -> str:
        """What is kept of it, as 64 hex digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def __repr__(self) -> str:  # never the secret
        return f"KeyText({self.id})"


def _check(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
