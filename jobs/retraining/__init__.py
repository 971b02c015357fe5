"""Retraining: runs, what they are trained on, and the gate that lets no worse model into service."""
