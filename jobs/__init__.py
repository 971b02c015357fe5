"""The work: corpus, queue, shards, screening, verdicts. Knows the model, never the faces in front of it."""
