"""Completion reports in the form of S3 Batch Operations, written to the object storage."""
