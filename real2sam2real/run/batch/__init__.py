"""Many shots to their videos: every shot exactly once, whatever dies on the way.

`finding` finds the shots, `records` keeps what is known of each, `making` makes one under its claim, `folder` knows the
whole batch, and `running` puts them together; `workfolder` has the two ways through the jobs.
"""
