"""The training loop on Ray Train. Nothing else here imports Ray."""
