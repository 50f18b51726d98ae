"""One photo in, a directed video out: see README.md."""

__version__ = "0.1.0"
