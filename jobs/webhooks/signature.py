"""Signatures as in the Standard Webhooks specification, so that receivers can use its libraries.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_PREFIX = "whsec_"
_SHORTEST_BYTES = 24


def secret_bytes(secret: str) -> bytes:
    """The key in a secret: `whsec_` and base64. Raises ValueError, which says how to make one."""
    how = (
        f"it must be {_PREFIX} and base64 of at least {_SHORTEST_BYTES} random bytes, such as the output of: "
        f"echo {_PREFIX}$(openssl rand -base64 32)"
    )
    if not secret.startswith(_PREFIX):
        raise ValueError(how)
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(how) from None
    if len(key) < _SHORTEST_BYTES:
        raise ValueError(how)
    return key


def signed_headers(key: bytes, message_id: str, sent_at: int, body: str) -> dict[str, str]:
    """The three headers of a message sent at this moment (seconds since the epoch)."""
    digest = hmac.new(key, f"{message_id}.{sent_at}.{body}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
