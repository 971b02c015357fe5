"""Projects, keys, sessions of browsers, and the log of what was done."""

from jobs.access.audit_log import AuditEntry, AuditLog
from jobs.access.key_store import KeyStore
from jobs.access.key_text import KeyText
from jobs.access.project_store import ProjectStore
from jobs.access.session_store import SessionStore

__all__ = ["AuditEntry", "AuditLog", "KeyStore", "KeyText", "ProjectStore", "SessionStore"]
