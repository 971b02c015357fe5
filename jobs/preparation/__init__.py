"""Preparing a job: its corpus, whatever it is given as, is read once and frozen into shards."""
