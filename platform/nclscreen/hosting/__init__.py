"""Ray up and down, one Serve application per model version, and the scorer that asks it."""
