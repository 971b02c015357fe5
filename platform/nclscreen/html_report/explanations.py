"""What the error codes of images mean, in plain words, and what a person can do."""

from jobs.error_codes import NOTES
from jobs.errors import ErrorCode

EXPLANATIONS: dict[ErrorCode, str] = {code: note.sentences for code, note in NOTES.items()}
