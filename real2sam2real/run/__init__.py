"""From a photo to a run folder: stages that are redone only when their inputs change, and a page to look at it."""
