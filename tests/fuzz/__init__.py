"""Fuzzing of everything that the program reads: `python -m tests.fuzz --mutants 10000`, from the repository's root.

registry   a kind of file: what makes a small valid one, what reads it, how it is damaged
kinds/     the kinds, by subject; a new one is a function that writes and one that reads
mutators   damage, drawn from a random generator: of bytes, of words, of JSON values, of members of tar and zip
worker     one process: makes a mutant and reads it, over and over
runner     starts workers, ends what hangs or grows, gathers the findings
"""
