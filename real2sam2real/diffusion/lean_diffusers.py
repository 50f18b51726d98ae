"""Imports of diffusers what the package uses, without what diffusers would load for it and nobody needs yet.

Where they are installed, diffusers imports scipy.stats and scipy.integrate, for two kinds of noise schedule, and
bitsandbytes: seconds of the start of every process that generates. It gets stand-ins that load the real module when
something of it is used. What others import stays as it is.

This module is imported before anything of diffusers; the configuration of isort keeps it at the top.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_LATE = ("bitsandbytes", "scipy.integrate", "scipy.stats")
_IMPORTERS = (
    "diffusers.schedulers.scheduling_flow_match_euler_discrete",
    "diffusers.schedulers.scheduling_unipc_multistep",
    "diffusers.pipelines.pipeline_utils",
)


class LateModule(ModuleType):
    """Stands for a module, which is imported when something of it is first used."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__file__ = spec, spec.origin

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__path__", "__version__"):
            raise AttributeError(name)  # `inspect` and `warnings` look into every module, which is no use of it
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def imported_late(*names: str) -> Iterator[None]:
    """In this block, an import of these modules gives a `LateModule` where one is installed and not loaded yet."""
    for name in names:
        if name not in sys.modules and (spec := find_spec(name)):
            sys.modules[name] = LateModule(spec)
    try:
        yield
    finally:
        for name in names:
            if isinstance(sys.modules.get(name), LateModule):
                del sys.modules[name]


with imported_late(*_LATE):
    for _name in _IMPORTERS:
        importlib.import_module(_name)
