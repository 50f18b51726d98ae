"""Which plan runs on a machine, and why; what to try when memory runs out all the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

from real2sam2real.diffusion.memory.attention import choose_backend
from real2sam2real.diffusion.memory.costs import FORMATS, Architecture, ClipSize
from real2sam2real.diffusion.memory.machine import Machine
from real2sam2real.diffusion.memory.needs import FIXED_MARGIN, GIB, SHARE_MARGIN, Needs, needs_of
from real2sam2real.diffusion.memory.plans import PLANS, Plan, PlanName, find_plan
from real2sam2real.errors import UserError

AUTO = "auto"
# Copying a block ahead costs no time where computing takes longer than copying. A GPU of 400 TFLOP/s behind 12 GB/s is
# at the unfavourable end: it needs so many operations for each byte.
FREE_STREAMING = 400e12 / 12e9
_GGUF_ADVICE = (
    "\nIts weights packed in 4 bits would fit: name a GGUF file of it as --base, and the folder or hub id that has "
    "the VAE and the encoders as --components"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of one plan on one machine.

    Attributes:
        plan: the plan.
        needs: what it needs, or None where it was refused for another reason.
        refusal: why it cannot run, or None where it can.
    """

    plan: Plan
    needs: Needs | None
    refusal: str | None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The plan that runs.

    Attributes:
        plan: it.
        why: for people.
        rows: all plans.
        machine: what it was chosen for.
        clip: size of a segment.
    """

    plan: Plan
    why: str
    rows: tuple[Row, ...]
    machine: Machine
    clip: ClipSize

    def below(self) -> Plan | None:
        """The next plan down: of those that fit and need less of the device, the most faithful."""
        return _below(self.plan, self.rows)


def choose_plan(
    machine: Machine,
    architecture: Architecture,
    clip: ClipSize,
    *,
    wanted: str = AUTO,
    guided: bool = True,
    attention: str = AUTO,
    preferred: PlanName | None = None,
) -> Choice:
    """The plan that the user wants, or the preferred one if it fits, or the first of `PLANS` that does.

    Nothing is loaded for it: needs are reckoned.

    Args:
        machine: as `inspect_machine` finds it.
        architecture: the checkpoint's networks.
        clip: the size of one segment; longer shots need no more.
        wanted: "auto" or a plan's name.
        guided: with classifier-free guidance.
        attention: name of the attention kernel, or "auto"; some take copies of what they are given.
        preferred: what a preset takes where nothing else is asked for.

    Raises:
        UserError: the kernel cannot run here; the wanted plan does not exist or does not fit, or none fits; the
            message has the figures and the next plan down.
    """
    if wanted != AUTO:
        find_plan(wanted)
    copies = choose_backend(machine, attention).copies
    rows = tuple(_row(plan, machine, architecture, clip, guided, copies) for plan in PLANS)
    if wanted != AUTO:
        plan = _wanted(find_plan(wanted), rows, clip)
        return Choice(plan=plan, why="it was asked for, and it fits", rows=rows, machine=machine, clip=clip)
    usable = [row for row in _by_preference(rows) if row.refusal is None]
    if not usable:
        packed = replace(architecture, packed=FORMATS["gguf"].weight)
        others = (_row(plan, machine, packed, clip, guided, copies) for plan in PLANS)
        advised = [row for row in others if row.refusal is None]
        raise UserError(_nothing_fits(rows, clip) + (_GGUF_ADVICE if advised and architecture.packed is None else ""))
    for row in usable:
        if row.plan.name == preferred:
            why = "it is the preset's own, and it fits"
            return Choice(plan=row.plan, why=why, rows=rows, machine=machine, clip=clip)
    plan = usable[0].plan
    return Choice(plan=plan, why=_reason(plan, rows), rows=rows, machine=machine, clip=clip)


def out_of_memory_remedy(choice: Choice) -> str:
    """What to tell when the device ran out of memory though the plan was expected to fit."""
    text = (
        f"the {choice.machine.name} ran out of memory under the plan '{choice.plan.name}' at {choice.clip}, though its "
        "need was reckoned to fit: another program may have taken some since"
    )
    below = choice.below()
    if below is None:
        return f"{text}. No plan that fits needs less; a smaller size or fewer frames do"
    return f"{text}. The next plan down is '{below.name}' ({below.purpose}): add --memory {below.name}"


def _row(
    plan: Plan, machine: Machine, architecture: Architecture, clip: ClipSize, guided: bool, attention_copies: bool
) -> Row:
    obstacle = _obstacle(plan, machine, packed=architecture.packed is not None)
    if obstacle is not None:
        return Row(plan=plan, needs=None, refusal=obstacle)
    needs = needs_of(
        plan,
        architecture,
        clip,
        guided=guided,
        native_bfloat16=machine.native_bfloat16,
        attention_copies=attention_copies,
    )
    return Row(plan=plan, needs=needs, refusal=_shortage(plan, needs, machine))


def _obstacle(plan: Plan, machine: Machine, *, packed: bool) -> str | None:
    """What speaks against a plan apart from memory."""
    if plan.device == "cuda":
        if machine.device != "cuda":
            return "there is no GPU"
        if machine.capability is not None and machine.capability < plan.capability:
            has, needs = (".".join(map(str, pair)) for pair in (machine.capability, plan.capability))
            return f"the GPU has compute capability {has}; {needs} is needed"
    if plan.device == "cuda" and (plan.weights == "gguf") != packed:
        return "the base is no GGUF file" if plan.weights == "gguf" else "the base is a GGUF file, packed already"
    if plan.package is not None and plan.package not in machine.packages:
        return f"{plan.package} is not installed: pip install {plan.package}"
    return None


def _shortage(plan: Plan, needs: Needs, machine: Machine) -> str | None:
    """Which memory does not suffice."""
    if plan.device == "cuda" and needs.device > machine.free_memory:
        return f"it needs {gib(needs.device)} on the GPU; {gib(machine.free_memory)} are free"
    if needs.ram > machine.free_ram:
        return f"it needs {gib(needs.ram)} of CPU memory; {gib(machine.free_ram)} are free"
    return None


def _by_preference(rows: tuple[Row, ...]) -> list[Row]:
    """As in `PLANS`, but streamed bfloat16 only after quantised weights where copying would keep the GPU waiting."""

    def waits(row: Row) -> bool:
        if row.needs is None or not row.plan.blocks_streamed:
            return False
        one_pass = row.needs.one_pass
        return one_pass.flops < FREE_STREAMING * one_pass.all_blocks

    return sorted(rows, key=lambda row: (row.plan.device == "cpu", waits(row)))


def _wanted(plan: Plan, rows: tuple[Row, ...], clip: ClipSize) -> Plan:
    refusal = next(row.refusal for row in rows if row.plan is plan)
    if refusal is None:
        return plan
    text = f"the plan '{plan.name}' cannot run at {clip}: {refusal}"
    below = _below(plan, rows)
    if below is None:
        usable = [row.plan.name for row in rows if row.refusal is None]
        raise UserError(f"{text}. {'Plans that fit: ' + ', '.join(usable) if usable else 'No other plan fits either'}")
    raise UserError(f"{text}. The next plan down is '{below.name}' ({below.purpose}): --memory {below.name}")


def _below(plan: Plan, rows: tuple[Row, ...]) -> Plan | None:
    need = next(row.needs for row in rows if row.plan is plan)
    for row in _by_preference(rows):
        if row.plan is plan or row.refusal is not None or row.needs is None:
            continue
        if row.plan.device == plan.device and (need is None or row.needs.device < need.device):
            return row.plan
    return None


def _reason(plan: Plan, rows: tuple[Row, ...]) -> str:
    better = []
    for row in _by_preference(rows):
        if row.plan is plan:
            break
        better.append(f"{row.plan.name}: {row.refusal}")
    if not better:
        return "it is the fastest and most faithful, and it fits"
    return f"it is the first that fits ({'; '.join(better)})"


def _nothing_fits(rows: tuple[Row, ...], clip: ClipSize) -> str:
    lines = "\n".join(f"  {row.plan.name:11} {row.refusal}" for row in rows)
    return f"no memory plan fits {clip} on this machine; a smaller size or fewer frames need less.\n{lines}"


def gib(size: float) -> str:
    """Bytes for people."""
    return f"{size / GIB:.1f} GiB"


MARGIN_IN_WORDS = f"{SHARE_MARGIN:.0%} and {gib(FIXED_MARGIN)} are kept free"
