"""The command line: one thin module per command, no heavy import before a command runs."""
