"""Clips to a data set: `settings` says how, `stages` do it for one source, `run` does it for all and can be killed.

`job` is what goes from stage to stage; `packing` makes shards, manifest and data card of what is finished.
"""
