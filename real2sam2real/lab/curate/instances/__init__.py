"""Instances through a clip: a marked box or mask that is followed, or words that are found and followed."""

from real2sam2real.lab.curate.instances.interface import InstancePrompt, Instances, InstanceTracker
from real2sam2real.lab.curate.instances.loading import load_tracker

__all__ = ["InstancePrompt", "InstanceTracker", "Instances", "load_tracker"]
