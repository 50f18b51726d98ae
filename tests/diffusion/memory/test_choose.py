"""Which plan runs where, and what is said when one does not."""

import dataclasses

import pytest

from real2sam2real.diffusion.memory import choose
from real2sam2real.diffusion.memory.choose import choose_plan, out_of_memory_remedy
from real2sam2real.diffusion.memory.costs import Architecture, ClipSize, PassCost
from real2sam2real.diffusion.memory.needs import FIXED_MARGIN, GIB, SHARE_MARGIN, Needs, needs_of
from real2sam2real.diffusion.memory.plans import PLANS, find_plan
from real2sam2real.errors import UserError

# GiB on the device and of CPU memory.
NEEDS = {
    "resident": (60, 2),
    "compact": (42, 2),
    "stream": (12, 45),
    "int8": (26, 33),
    "fp8": (26, 33),
    "stream-int8": (11, 33),
    "gguf": (19, 15),
    "nf4": (18, 33),
    "cpu": (64, 64),
}
WAN_ANIMATE_14B = Architecture()
SHORT = ClipSize(frames=17, width=640, height=368)


@pytest.fixture
def reckoned(monkeypatch):
    """Needs as in the table, in place of measured ones; `flops` is what each byte of a block's weights is used for."""

    def use(flops: float = 1e6) -> None:
        one_pass = PassCost(
            weights=1, working=1, block=1, layers=1, tokens=1, attention_flops=0, other_flops=round(flops)
        )

        def needs(plan, *_: object, **__: object) -> Needs:
            device, ram = NEEDS[plan.name]
            return Needs(stages={}, device=device * GIB, ram=ram * GIB, one_pass=one_pass)

        monkeypatch.setattr(choose, "needs_of", needs)

    use()
    return use


def chosen(machine, **options: object) -> str:
    return choose_plan(machine, WAN_ANIMATE_14B, ClipSize(), **options).plan.name


@pytest.mark.parametrize(
    ("memory", "ram", "plan"),
    [
        (79, 64, "resident"),
        (48, 64, "compact"),
        (32, 64, "stream"),
        (32, 40, "int8"),
        (16, 64, "stream"),
        (16, 40, "stream-int8"),
        (11.5, 64, "stream-int8"),
    ],
)
def test_auto_takes_the_most_faithful_that_fits(reckoned, make_gpu, memory: float, ram: float, plan: str) -> None:
    assert chosen(make_gpu(memory, ram)) == plan


def test_free_memory_counts_and_not_what_the_card_has(reckoned, make_gpu) -> None:
    assert chosen(dataclasses.replace(make_gpu(80), free_memory=50 * GIB)) == "compact"


def test_streaming_that_would_keep_the_gpu_waiting_comes_last(reckoned, make_gpu) -> None:
    reckoned(flops=1e3)
    assert chosen(make_gpu(32, 64)) == "int8"
    assert chosen(make_gpu(16, 64)) == "stream"


def test_the_reason_names_what_was_passed_over(reckoned, make_gpu) -> None:
    choice = choose_plan(make_gpu(32, 40), WAN_ANIMATE_14B, ClipSize())
    assert choice.why == (
        "it is the first that fits (resident: it needs 60.0 GiB on the GPU; 32.0 GiB are free; "
        "compact: it needs 42.0 GiB on the GPU; 32.0 GiB are free; "
        "stream: it needs 45.0 GiB of CPU memory; 40.0 GiB are free)"
    )
    assert [row.plan for row in choice.rows] == list(PLANS)


def test_what_a_machine_cannot_do_is_told_apart_from_memory(reckoned, make_gpu) -> None:
    old = make_gpu(80, capability=(8, 6), packages={"bitsandbytes": "1"})
    refusals = {row.plan.name: row.refusal for row in choose_plan(old, WAN_ANIMATE_14B, ClipSize()).rows}
    assert refusals["fp8"] == "the GPU has compute capability 8.6; 8.9 is needed"
    assert refusals["int8"] == "torchao is not installed: pip install torchao"
    assert refusals["gguf"] == "the base is no GGUF file"
    assert refusals["nf4"] is None
    assert refusals["cpu"] is None


def test_a_gguf_base_runs_as_it_is_packed(reckoned, make_gpu, cpu_machine) -> None:
    assert chosen(make_gpu(80), base_layout="gguf") == "gguf"
    assert chosen(cpu_machine, base_layout="gguf") == "cpu"
    with pytest.raises(UserError, match=r"'int8' cannot run.*the base is a GGUF file, packed already"):
        choose_plan(make_gpu(80), WAN_ANIMATE_14B, ClipSize(), wanted="int8", base_layout="gguf")


def test_without_a_gpu_the_cpu_does_it(reckoned, cpu_machine) -> None:
    choice = choose_plan(cpu_machine, WAN_ANIMATE_14B, ClipSize())
    assert choice.plan.name == "cpu"
    assert "resident: there is no GPU" in choice.why
    with pytest.raises(UserError, match="'stream' cannot run at 81 frames of 1280×720: there is no GPU"):
        choose_plan(cpu_machine, WAN_ANIMATE_14B, ClipSize(), wanted="stream")


def test_a_wanted_plan_that_fits_is_taken(reckoned, make_gpu) -> None:
    assert chosen(make_gpu(80), wanted="nf4") == "nf4"


def test_a_wanted_plan_that_does_not_fit_is_refused_with_figures_and_the_next_down(reckoned, make_gpu) -> None:
    with pytest.raises(UserError) as refusal:
        choose_plan(make_gpu(32, 40), WAN_ANIMATE_14B, ClipSize(), wanted="compact")
    assert str(refusal.value) == (
        "the plan 'compact' cannot run at 81 frames of 1280×720: it needs 42.0 GiB on the GPU; 32.0 GiB are free. "
        "The next plan down is 'int8' (8-bit integer weights on the GPU): --memory int8"
    )


def test_where_nothing_fits_every_plan_says_why(reckoned, make_gpu) -> None:
    with pytest.raises(UserError, match="no memory plan fits 81 frames of 1280×720") as refusal:
        choose_plan(make_gpu(8, 16), WAN_ANIMATE_14B, ClipSize())
    assert all(f"\n  {plan.name} " in str(refusal.value) for plan in PLANS)


def test_running_out_of_memory_names_the_next_plan_down(reckoned, make_gpu) -> None:
    def remedy(wanted: str) -> str:
        return out_of_memory_remedy(choose_plan(make_gpu(80), WAN_ANIMATE_14B, ClipSize(), wanted=wanted))

    assert remedy("resident").endswith("--memory compact")
    assert remedy("compact").endswith("--memory stream")
    assert remedy("stream").endswith("--memory stream-int8")
    assert remedy("stream-int8").endswith("a smaller size or fewer frames do")


def test_needs_are_put_together_stage_by_stage() -> None:
    resident, compact = (
        needs_of(find_plan(name), WAN_ANIMATE_14B, SHORT, guided=True) for name in ("resident", "compact")
    )
    for needs in (resident, compact):
        assert set(needs.stages) == {"text", "image", "encode", "denoise", "decode"}
        assert needs.device == round(max(needs.stages.values()) * (1 + SHARE_MARGIN) + FIXED_MARGIN)
        assert min(needs.stages.values()) > needs.one_pass.weights
    # The encoders lie on the device under the one plan, and come there for their use under the other.
    assert resident.stages["denoise"] - compact.stages["denoise"] > 12.9 * GIB
    streamed = needs_of(find_plan("stream"), WAN_ANIMATE_14B, SHORT, guided=True)
    one_pass = compact.one_pass
    assert compact.stages["denoise"] - streamed.stages["denoise"] == one_pass.all_blocks - 2 * one_pass.block
    assert streamed.ram - compact.ram > 0.3 * one_pass.all_blocks


def test_guidance_keeps_a_second_prompt() -> None:
    with_it, without = (
        needs_of(find_plan("resident"), WAN_ANIMATE_14B, SHORT, guided=guided).stages["denoise"]
        for guided in (True, False)
    )
    assert with_it - without > 40 * 2 * (512 + 257) * 5120 * 2  # keys and values of 40 blocks


def test_a_cpu_without_bfloat16_computes_in_float32() -> None:
    plan = find_plan("cpu")
    needs = {
        native: needs_of(plan, WAN_ANIMATE_14B, SHORT, guided=False, native_bfloat16=native) for native in (True, False)
    }
    assert needs[False].one_pass.weights > 1.9 * needs[True].one_pass.weights
    assert needs[True].device == needs[True].ram
