"""From a leased shard to its verdicts: fetch, decode, batches for the model, on threads or on Ray."""
