"""Runs inside another environment (Python 3.10 or newer): the standard library, that environment's packages, itself."""
