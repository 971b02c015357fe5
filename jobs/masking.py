"""Secrets in texts that leave the program: logs, errors, tables, JSON, reports. One function masks them all.

Two ways, since each alone is not enough: what looks like a secret (passwords in URLs and connection strings, keys in
addresses of buckets, signed addresses, settings with their values), and what is known to be one, word for word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"
#: shorter ones would be found inside ordinary words
_SHORTEST = 6
#: environment variables that are secrets as a whole
_SECRET_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "NCLSCREEN_WEBHOOK_SECRET",
    "PGPASSWORD",
    "RAY_AUTH_TOKEN",
)
#: names of parameters and of settings whose values are secrets
_NAMED = (
    r"(?:[a-z0-9_.-]*(?:password|passwd|passphrase|pwd|secret|token|credential|signature|api[_-]?key|private[_-]?key)"
    r"[a-z0-9_.-]*|sig|secret_?access_?key|AWSAccessKeyId)"
)
# whatever stands before the last "@" of the authority: passwords may hold "@", those of databases even "/"
_DATABASE = re.compile(r"\b((?:postgres|postgresql|mysql|redis|amqp)[a-z0-9+]*://)([^\s:/@'\"]*):([^\s'\"]*)@", re.I)
_USER = re.compile(r"\b([a-z][a-z0-9+.-]*://)([^\s:/@'\"]*):([^\s/'\"]*)@", re.I)
_BUCKET = re.compile(r"\b(s3[an]?://)([^\s:/@'\"]+):([^\s@'\"]+)@", re.I)
_PARAMETER = re.compile(rf"([?&;]{_NAMED}=)([^&\s#;'\"]+)", re.I)
#: password='two words' as libpq takes it, AWS_SECRET_ACCESS_KEY=..., "secret": "..."
_ASSIGNED = re.compile(rf"(?<![\w?&;/.-])(['\"]?{_NAMED}['\"]?\s?[=:]\s?)('[^']*'|\"[^\"]*\"|[^\s,;&'\"]+)", re.I)
_SIGNING = re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]+")
_BEARER = re.compile(r"\b((?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}", re.I)

_known: set[str] = set()


def masked(text: str) -> str:
    """The text with every secret in it as ``***``; what is none is left as it is."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    if "://" in text:
        text = _DATABASE.sub(rf"\1\2:{MASK}@", text)
        text = _BUCKET.sub(rf"\1{MASK}@", text)
        text = _USER.sub(rf"\1\2:{MASK}@", text)
        text = _PARAMETER.sub(rf"\1{MASK}", text)
    if "=" in text or ":" in text:
        text = _ASSIGNED.sub(_assigned, text)
    text = _SIGNING.sub(f"whsec_{MASK}", text)
    return _BEARER.sub(rf"\1{MASK}", text)


def _assigned(found: re.Match[str]) -> str:
    """Quotes stay, so that a document remains one."""
    name, value = found.groups()
    quote_mark = value[0] if value[0] in "'\"" else ""
    return f"{name}{quote_mark}{MASK}{quote_mark}"


def masked_document(document: Any, *, kept: Collection[str] = ()) -> Any:
    """A document of plain JSON types with its texts masked, but for the fields of these names."""
    if isinstance(document, str):
        return masked(document)
    if isinstance(document, list | tuple):
        return [masked_document(each, kept=kept) for each in document]
    if isinstance(document, dict):
        return {name: value if name in kept else masked_document(value, kept=kept) for name, value in document.items()}
    return document


def know_secrets(secrets: Iterable[str | None]) -> None:
    """Mask these wherever they stand from now on, also as they are written in URLs."""
    for secret in secrets:
        if secret is not None and len(secret) >= _SHORTEST:
            _known.update({secret, quote(secret, safe=""), unquote(secret)} - {MASK})


def secrets_in(url: str | None, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The secrets of this process: of the environment, and the password in a URL, such as the database's."""
    found = [environment[name] for name in _SECRET_VARIABLES if environment.get(name)]
    for pattern in (_DATABASE, _USER, _PARAMETER):
        found += [match.groups()[-1] for match in pattern.finditer(url or "")]
    return found


def forget_secrets() -> None:
    """Know none any more; for tests."""
    _known.clear()
