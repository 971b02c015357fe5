"""Training with torch alone: recipe, batches, trainer, loop, and the files of a run."""
