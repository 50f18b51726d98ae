"""One message for everything that can end a lifter's run: what happened, why, what to do."""

from __future__ import annotations

import signal

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lifting.workers.catalogue import LifterFacts
from real2sam2real.lifting.workers.environment import LifterEnvironment

SIGKILL = 9
_OLD_PYTHON = "is too old"


def explain_failure(facts: LifterFacts, options: LifterEnvironment, failure: dict[str, str]) -> UserError:
    """The message for a failure that the worker named: its kind, its message and what is missing."""
    message, missing, where = failure["message"], failure["missing"], _where(options)
    lacking = f"the package '{missing}' is not installed there; " if missing else ""
    text = {
        "import": f"{facts.title} cannot be imported by {where}: {lacking}{message}. {_set_up(facts)}",
        "code": f"{message}. Give the clone of {facts.title}'s repository with --lifter-code FOLDER",
        "version": f"{facts.title} in {where} is another version than the one this was written for: {message}. "
        f"Update its clone (git pull) and its environment: {facts.page}",
        "weights": f"{facts.title} has no weights: {message}. {_get_weights(facts)}",
        "gated": f"the weights of {facts.title} are not given to you yet: {message}. {_get_weights(facts)}",
        "device": f"{facts.title} needs an NVIDIA card, but {where} has none to offer: {message}. Check nvidia-smi and "
        "that this environment has a CUDA build of torch, or name a machine that has a card with --lifter-host",
        "memory": f"{facts.title} does not fit into the card's memory: {message}; {facts.remedy}",
        "cuda": f"the graphics card failed: {message}. What is finished stays; the same command goes on and leaves the "
        "object at which it happened for the end",
        "disk": f"the disk is full on {options.host or 'this machine'}: {message}. Make room; the same command goes on",
        "request": f"{message}; delete the request's folder and run again",
    }.get(failure["kind"], f"{facts.title} could not be loaded: {message}")
    return MissingPartError(text) if failure["kind"] in ("import", "code", "weights", "gated") else UserError(text)


def explain_exit(facts: LifterFacts, options: LifterEnvironment, status: int, last_line: str, entity: str) -> UserError:
    """The message for a worker that ended without saying why, at an entity or at none ("").

    The status is negative, or above 128 from a shell, for a signal.
    """
    at = f" at {entity}" if entity else ""
    number = -status if status < 0 else status - 128 if 128 < status < 160 else 0
    where = _where(options)
    if _OLD_PYTHON in last_line:
        return UserError(
            f"{where}: {last_line}; {facts.title}'s environment needs Python 3.10 or newer. {_set_up(facts)}"
        )
    if status in (126, 127):
        return UserError(f"there is no Python at {where}: {last_line}")
    if "No module named 'numpy'" in last_line:
        return UserError(f"{where} has no NumPy, so it is not {facts.title}'s environment. {_set_up(facts)}")
    if number:
        return UserError(
            f"{facts.title} was killed by {_signal(number)}{at}{_guess(number)}. "
            "The same command goes on and leaves that object for the end"
        )
    said = last_line or "it said nothing"
    return UserError(f"{facts.title} ended with status {status}{at}: {said}. The same command goes on")


def explain_hanging(facts: LifterFacts, options: LifterEnvironment, entity: str) -> UserError:
    """The message for a worker that was stopped because nothing came of it."""
    at = f"lifting {entity}" if entity else "loading the model"
    return UserError(
        f"{facts.title} was stopped: {at} took more than {options.timeout:g} seconds. At the first use weights are "
        "downloaded and kernels compiled, which is kept: the same command goes on from there. If it hangs again, the "
        "log says at what; --lifter-timeout SECONDS allows more time"
    )


def _where(options: LifterEnvironment) -> str:
    return f"{options.python} on {options.host}" if options.host else str(options.python)


def _set_up(facts: LifterFacts) -> str:
    return (
        f"Is it the right Python? {facts.title} needs its own environment, set up as {facts.page} tells "
        "(docs/lifters.md in short); where it is not installed but cloned, give the clone with --lifter-code"
    )


def _get_weights(facts: LifterFacts) -> str:
    gate = f"Ask for access at {facts.gated}, log in with `hf auth login`, then: " if facts.gated else "Get them: "
    return f"{gate}{facts.weights}; elsewhere on disk, name them with --lifter-weights"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _guess(number: int) -> str:
    if number == SIGKILL:
        return " (the system does that when the machine's memory runs out)"
    return " (a crash in one of its compiled parts)" if number in (signal.SIGSEGV, signal.SIGABRT) else ""
