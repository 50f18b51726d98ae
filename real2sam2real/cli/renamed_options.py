"""Options by their former names, which are understood for one more version and say what they are called now."""

from __future__ import annotations

import sys

RENAMED = {
    "--coding": "--normal-convention",
    "--free-lens": "--optimize-focal",
    "--in-front": "--occluder",
    "--keep-pose": "--no-align",
    "--live": "--preview-image",
    "--parts": "--components",
    "--plan": "--memory",
    "--triangles": "--max-faces",
}


def with_new_names(arguments: list[str]) -> list[str]:
    """The arguments with every former option by its new name; says so on stderr, once for each."""
    result, told = [], set()
    for argument in arguments:
        option, equals, value = argument.partition("=")
        new = RENAMED.get(option.replace("_", "-"))
        if new is not None and option not in told:
            print(f"note: {option} is now called {new}; the old name goes with the next version", file=sys.stderr)
            told.add(option)
        result.append(argument if new is None else new + equals + value)
    return result
