"""Programs that live in environments of their own, spoken to by files and lines: sent there, heard, stopped.

`there` is what they share: it is copied beside each request, with the worker itself, and imports nothing else of ours.
"""
