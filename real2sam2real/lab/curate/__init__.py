"""Clips -> masked-normal data set."""
