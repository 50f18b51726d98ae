"""Captions of clips: from the labels of their instances, or by a vision-language model."""
