"""Many shots: found in folders, made one after another or by Ray, each exactly once whatever dies in between.

What is true stands on disk, beside each video: `records` says what a finished shot is, `making` makes one under a
claim, `folder` knows the whole batch, `local` and `ray_workers` are the two ways to get through it, and `running` puts
them together. See docs/batches.md.
"""
