"""Metrics and benchmark sets."""
