"""NormalCrafter, run in its own environment."""
