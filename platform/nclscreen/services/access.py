"""Projects and keys: made, listed, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.access import AuditEntry, KeyText
from jobs.domain.access import DEFAULT_PROJECT, ApiKey, Project, ProjectName, Scope
from jobs.domain.places import ANY_BUCKET, Places
from jobs.domain.times import instant
from jobs.storage import parse_source
from nclscreen.quantities import duration_in_seconds
from nclscreen.services import checks
from nclscreen.services.errors import InvalidRequest
from nclscreen.wiring import Wiring

_LONGEST_NAME = 100


def create_key(
    wiring: Wiring,
    *,
    name: str,
    scopes: Sequence[Scope],
    project: str | None = None,
    lifetime: str | None = None,
) -> tuple[ApiKey, KeyText]:
    """A new key of this project, else of the caller's. `lifetime`: such as 90d; None: until it is revoked.

    Raises InvalidRequest, ProjectNotFound.
    """
    if not scopes:
        raise InvalidRequest("scopes", f"say what the key is good for: {', '.join(Scope)}")
    if wiring.project is not None and project not in (None, wiring.project.name):
        raise InvalidRequest("project", "a key can make keys of its own project alone")
    owner = wiring.project or wiring.projects.get(project or DEFAULT_PROJECT)
    lifetime_s = None if lifetime is None else checks.parsed("lifetime", lambda: duration_in_seconds(lifetime))
    said = checks.short_text("name", name, _LONGEST_NAME) or ""
    return wiring.keys.create(owner.name, said, scopes, lifetime_s)


def revoke_key(wiring: Wiring, key_id: str) -> ApiKey:
    """Raises KeyNotFound, also for another project's key."""
    return wiring.keys.revoke(key_id, _own(wiring))


def list_keys(wiring: Wiring) -> list[ApiKey]:
    """Those of the caller's project, or of all."""
    return wiring.keys.all(_own(wiring))


def make_places(written: Sequence[str]) -> Places:
    """URIs of buckets, prefixes and folders; none: any bucket, and no folder. Raises InvalidSource."""
    if not written:
        return ANY_BUCKET
    parsed = [parse_source(each) for each in written]
    return Places(tuple(f"{each.container.rstrip('/')}/{each.prefix}".rstrip("/") for each in parsed))


def key_document(key: ApiKey) -> dict[str, Any]:
    """As JSON types; the key itself is not known here."""
    return {
        "id": key.id,
        "project": key.project,
        "name": key.name,
        "scopes": sorted(scope.value for scope in key.scopes),
        "created_at": instant(key.created_at),
        "expires_at": instant(key.expires_at),
        "last_used_at": instant(key.last_used_at),
        "revoked_at": instant(key.revoked_at),
    }


def project_document(project: Project) -> dict[str, Any]:
    """As JSON types."""
    beginnings = project.places.beginnings
    return {"name": project.name, "places": None if beginnings is None else list(beginnings)}


def audit_document(entry: AuditEntry) -> dict[str, Any]:
    """As JSON types."""
    return {
        "at": instant(entry.at),
        "project": entry.project,
        "actor": entry.actor,
        "key_id": entry.key_id,
        "action": entry.action,
        "subject": entry.subject,
        "status": entry.status,
    }


def _own(wiring: Wiring) -> ProjectName | None:
    return None if wiring.project is None else wiring.project.name
