"""The kinds of files, by subject. Heavy packages are imported in the functions, as `--list` needs none."""
