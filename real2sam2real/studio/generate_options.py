"""What a person can choose about a generation, for the page, from the one place that says it: `GenerateOptions`."""

from __future__ import annotations

import ast
import inspect
import itertools
import types
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from real2sam2real.diffusion.memory.plans import PLANS
from real2sam2real.diffusion.options import GenerateOptions, ModelOptions
from real2sam2real.errors import UserError
from real2sam2real.workfolder.json_values import typed

# What most people choose comes first; the page keeps the others behind "more".
MAIN = ("checkpoint", "preset", "steps", "guidance", "seed", "init", "strength", "upscale", "memory")
_NOT_THE_PAGES = {"preview_image"}  # a file that the server names


def generate_options(values: Any) -> GenerateOptions:
    """The options of a generation from the page's JSON values; what is left out has its default.

    Raises:
        UserError: a value cannot be used, or there is no such option.
    """
    if not isinstance(values, dict) or _NOT_THE_PAGES & values.keys():
        raise UserError("the options of a generation are an object of the names that the page was given")
    try:
        return typed(GenerateOptions, values)
    except ValueError as error:
        raise UserError(f"the options of the generation cannot be used: {error}; choose another value") from error


@cache
def option_schema() -> list[dict[str, Any]]:
    """All options in the order of the page, each as `OptionData` of the page's `types.ts`."""
    texts, hints = _docstrings(), get_type_hints(GenerateOptions, include_extras=True)
    named = [field for field in fields(GenerateOptions) if field.name not in _NOT_THE_PAGES]
    named.sort(key=lambda field: MAIN.index(field.name) if field.name in MAIN else len(MAIN))
    return [
        {
            "name": field.name,
            "main": field.name in MAIN,
            "help": texts[field.name],
            "default": list(field.default) if isinstance(field.default, tuple) else field.default,
            **_kind(field.name, hints[field.name]),
        }
        for field in named
    ]


def _kind(name: str, hint: Any) -> dict[str, Any]:
    """What values an option takes: its type, the choices there are, and whether it can be left to the checkpoint."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    optional = get_origin(hint) in (Union, types.UnionType)
    if optional:
        hint = next(each for each in get_args(hint) if each is not type(None))
    if name == "memory":
        return {"type": "choice", "optional": False, "choices": ["auto", *(plan.name for plan in PLANS)]}
    if get_origin(hint) is Literal:
        return {"type": "choice", "optional": optional, "choices": list(get_args(hint))}
    if get_origin(hint) is tuple:
        return {"type": "texts", "optional": optional, "choices": []}
    kinds = {bool: "switch", int: "integer", float: "number", str: "text"}
    return {"type": kinds[hint], "optional": optional, "choices": []}


def _docstrings() -> dict[str, str]:
    """The text below each field, which is also the help of its flag."""
    found = {}
    for owner in (ModelOptions, GenerateOptions):
        (body,) = (node.body for node in ast.parse(inspect.getsource(owner)).body if isinstance(node, ast.ClassDef))
        for entry, text in itertools.pairwise(body):
            if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name) and isinstance(text, ast.Expr):
                found[entry.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found
