"""The generator: transformer with soft spatial-aligned injection, pipeline, checkpoints."""
