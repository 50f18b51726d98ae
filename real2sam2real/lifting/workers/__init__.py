"""Lifters that live in an environment of their own, on this machine or another, spoken to by files alone.

`lifting_worker` is what runs there: it is copied beside each request and imports nothing of ours. Everything else runs
here. See docs/lifters.md.
"""
