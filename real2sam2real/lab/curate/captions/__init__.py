"""Captions of clips: from the labels of their instances, or by a vision-language model."""

from real2sam2real.lab.curate.captions.interface import Captioner
from real2sam2real.lab.curate.captions.loading import load_captioner

__all__ = ["Captioner", "load_captioner"]
