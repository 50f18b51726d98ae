"""Instances through a clip: a prompted box or mask that is followed, or words that are found and followed."""
