"""The `r2s2r` command: finds the command's module, reads its flags, and turns errors into messages.

Each command is a frozen dataclass in a module of its own, such as `RunCommand` in `run`; `tyro` makes flags and help
from its fields and docstrings, and its `execute` does the work.
The top-level help is written here instead, so that it neither builds every command's parser nor imports a stage.
"""

from __future__ import annotations

import difflib
import gc
import importlib
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro

from real2sam2real.errors import UserError
from real2sam2real.files import refuse_pipe, why_no_room

# In the order of the help page, which is the order of the pipeline.
MODULES = (
    "run", "demo", "studio", "masks", "lift", "add", "direct", "preview", "render", "generate", "transfer", "export",
    "camera", "synth", "curate", "train", "benchmark", "evaluate", "doctor",
)  # fmt: skip

# Groups of options are flat, and a switch has no opposite.
TYRO_CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)

# Options by their former names, which are understood for one more version and say what they are called now.
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

_HALF = 1000  # characters of a message that are always shown, at its beginning and at its end

_USAGE = """usage: r2s2r COMMAND [...]

One photo in, a directed video out.

commands:
{commands}

r2s2r COMMAND --help explains a command. --traceback (or R2S2R_TRACEBACK=1) shows where an error came from.
Start here: r2s2r demo"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 our fault, 2 the input's, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with_traceback = os.environ.get("R2S2R_TRACEBACK", "0") not in ("", "0")
    if "--traceback" in arguments:
        arguments.remove("--traceback")
        with_traceback = True
    gc.set_threshold(50_000)  # importing torch and diffusers makes no garbage: looking for it took a fifth of the time
    _quieten_libraries()
    sys.exit(_guarded(arguments, with_traceback))


def _quieten_libraries() -> None:
    """Keep what libraries say about their own optional parts, when they are imported, from a user's screen."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    for name in ("bitsandbytes", "torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _guarded(arguments: list[str], with_traceback: bool) -> int:
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, as in `r2s2r --help | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if with_traceback:
            traceback.print_exc()
        print(_message(error, with_traceback), file=sys.stderr)
        # The input's fault: our own messages, and what the system says about a path (missing, not allowed, disk full).
        is_the_inputs = isinstance(error, UserError) or (isinstance(error, OSError) and error.filename is not None)
        return 2 if is_the_inputs or why_no_room(error) else 1


def _message(error: Exception, with_traceback: bool) -> str:
    if isinstance(error, UserError):
        return f"error: {_shortened(str(error))}"
    if reason := why_no_room(error):
        named = getattr(error, "filename", None) or "a file"
        return f"error: {named} could not be written: {reason}. Free some space and run again, or choose another place"
    if isinstance(error, OSError) and error.filename is not None:
        return f"error: {error.strerror}: {error.filename}"
    if isinstance(error, MemoryError):
        return "error: out of memory; a smaller --size or fewer --frames need less"
    hint = "" if with_traceback else "; run again with --traceback to see where it happened"
    return f"error: unexpected {type(error).__name__}: {error}{hint}"


def _shortened(message: str) -> str:
    """A message in which a value that was given takes a page of one line, without that line's middle."""
    lines = (x if len(x) <= 2 * _HALF else f"{x[:_HALF]} … {x[-_HALF:]}" for x in message.split("\n"))
    return "\n".join(lines)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE.format(commands=_table({name: _first_line(load(name).__doc__) for name in MODULES})))
        return 0
    if arguments[0] == "--version":
        print(importlib.import_module("real2sam2real").__version__)
        return 0
    name, *rest = arguments
    if name not in MODULES:
        raise UserError(f"there is no command '{name}'{_nearest(name, list(MODULES))}; r2s2r --help lists them")
    for argument in rest:  # before anything opens one: a pipe that nobody writes to would hold us for ever
        for text in (argument, argument.partition("=")[2], argument.rpartition("=")[2]):
            refuse_pipe(Path(text))
    return _run(load(name), name, rest)


def load(name: str) -> ModuleType:
    """The module of one command."""
    return importlib.import_module(f"real2sam2real.cli.{name}")


def parse(command: Any, prog: str, arguments: list[str]) -> Any:
    """Fill the command's fields from the arguments; exits with status 2 when they do not fit."""
    return tyro.cli(command, prog=prog, args=with_new_names(arguments), config=TYRO_CONFIG)


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


def _run(module: ModuleType, name: str, arguments: list[str]) -> int:
    commands = getattr(module, "COMMANDS", {})
    command = command_of(module, name)
    if command and not (arguments and arguments[0] in commands):
        _execute(parse(command, f"r2s2r {name}", arguments), name)
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        rows = {sub: _first_line(inspect.getdoc(command)) for sub, command in commands.items()}
        print(f"usage: r2s2r {name} COMMAND [...]\n\n{_first_line(module.__doc__)}\n\ncommands:\n{_table(rows)}")
        return 0
    sub, *rest = arguments
    if sub not in commands:
        raise UserError(f"there is no command '{name} {sub}'{_nearest(sub, list(commands))}; r2s2r {name} --help")
    _execute(parse(commands[sub], f"r2s2r {name} {sub}", rest), name)
    return 0


def _execute(command: Any, name: str) -> None:
    """Do a command's work; another one that would write the same place meanwhile is told so, and by whom."""
    from real2sam2real.workfolder.lock import writing

    target = command.scene if name == "add" else getattr(command, "out", None)
    # Those that go on with what is there hold their folder themselves; ranks of one program write together.
    if target is None or name in ("run", "demo", "studio", "curate") or "RANK" in os.environ:
        command.execute()
        return
    with writing(target):
        command.execute()


def command_of(module: ModuleType, name: str) -> Any:
    """The class of a command, such as `RunCommand`; None for one that has sub-commands alone."""
    return getattr(module, f"{name.capitalize()}Command", None)


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _table(rows: dict[str, str]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in rows.items())


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
