"""For researchers: the procedural world, curation of clips, training, evaluation. Only the command line reaches it."""
