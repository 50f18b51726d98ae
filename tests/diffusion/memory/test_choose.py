"""Which plan runs where, and what is said when one does not."""

import dataclasses

import pytest

from real2sam2real.diffusion.memory import choose
from real2sam2real.diffusion.memory.choose import choose_plan, out_of_memory_remedy
from real2sam2real.diffusion.memory.costs import Architecture, ClipSize, PassCost
from real2sam2real.diffusion.memory.needs import FIXED_MARGIN, GIB, SHARE_MARGIN, Needs, needs_of
from real2sam2real.diffusion.memory.plans import PLANS, find_plan
from real2sam2real.diffusion.presets import PRESETS
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
    "stream-gguf": (11, 5),
    "nf4": (18, 33),
    "fp8-dynamic": (31, 33),
    "cpu": (64, 64),
}
WAN_ANIMATE_14B = Architecture()
Q4 = Architecture(packed=4.5 / 8)  # bytes of a weight in GGUF files of these kinds
Q8 = Architecture(packed=8.5 / 8)
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


def chosen(machine, architecture: Architecture = WAN_ANIMATE_14B, **options: object) -> str:
    return choose_plan(machine, architecture, ClipSize(), **options).plan.name


# Cards as their drivers tell their memory, in MiB, and compute capability; GiB of CPU memory; the plan for the
# published base, and for a GGUF file of it of 4.5 and of 8.5 bits. A desktop and its driver take half a GiB of the
# card, the system 4 GiB of CPU memory.
MACHINES = [
    ("RTX 4060 Ti 16 GB", 16380, (8, 9), 16, None, "stream-gguf", "stream-gguf"),
    ("RTX 4060 Ti 16 GB", 16380, (8, 9), 32, "stream-int8", "stream-gguf", "stream-gguf"),
    ("RTX 4080", 16376, (8, 9), 64, "stream", "stream-gguf", "stream-gguf"),
    ("RTX 3090", 24576, (8, 6), 32, "stream-int8", "gguf", "stream-gguf"),
    ("RTX 4090", 24564, (8, 9), 32, "stream-int8", "gguf", "stream-gguf"),
    ("RTX 4090", 24564, (8, 9), 64, "stream", "gguf", "stream-gguf"),
    ("RTX 5090", 32607, (12, 0), 32, "int8", "gguf", "gguf"),
    ("RTX 5090", 32607, (12, 0), 64, "stream", "gguf", "gguf"),
    ("A100 40 GB", 40960, (8, 0), 32, "int8", "gguf", "gguf"),
    ("A100 40 GB", 40960, (8, 0), 64, "stream", "gguf", "gguf"),
    ("L40S", 46068, (8, 9), 32, "compact", "gguf", "gguf"),
    ("RTX 6000 Ada", 49140, (8, 9), 16, "compact", "gguf", "gguf"),
    ("RTX 6000 Ada", 49140, (8, 9), 64, "compact", "gguf", "gguf"),
    ("A100 80 GB", 81920, (8, 0), 16, "resident", "gguf", "gguf"),
    ("H100", 81559, (9, 0), 32, "resident", "gguf", "gguf"),
    ("H100", 81559, (9, 0), 64, "resident", "gguf", "gguf"),
    ("H200", 143771, (9, 0), 64, "resident", "gguf", "gguf"),
]


@pytest.mark.parametrize(("card", "mib", "capability", "ram", "plain", "q4", "q8"), MACHINES)
def test_no_plan_is_refused_that_fits(make_gpu, card, mib, capability, ram, plain, q4, q8) -> None:
    machine = make_gpu(mib / 1024 - 0.5, ram - 4, name=card, capability=capability)
    for architecture, plan in ((WAN_ANIMATE_14B, plain), (Q4, q4), (Q8, q8)):
        if plan is not None:
            assert chosen(machine, architecture) == plan
            continue
        with pytest.raises(UserError, match=r"packed in 4 bits would fit: name a GGUF file of it as --base"):
            chosen(machine, architecture)


@pytest.mark.parametrize(
    ("card", "mib", "capability", "plan"),
    [
        ("RTX 4090", 24564, (8, 9), "stream"),
        ("A100 80 GB", 81920, (8, 0), "resident"),
        ("RTX 5090", 32607, (12, 0), "fp8-dynamic"),
        ("L40S", 46068, (8, 9), "fp8-dynamic"),
        ("RTX 6000 Ada", 49140, (8, 9), "fp8-dynamic"),
        ("H100", 81559, (9, 0), "fp8-dynamic"),
        ("H200", 143771, (9, 0), "fp8-dynamic"),
    ],
)
def test_what_a_preset_prefers_runs_where_the_card_can_do_it(make_gpu, card, mib, capability, plan) -> None:
    machine = make_gpu(mib / 1024 - 0.5, 60, name=card, capability=capability)
    preferred = {"guided": False, "preferred": PRESETS["fast"].plan_on_gpu}
    assert chosen(machine, **preferred) == plan
    assert chosen(machine) != "fp8-dynamic"  # never by itself: it rounds
    assert chosen(machine, wanted="stream", **preferred) == "stream"
    assert chosen(machine, Q4, **preferred) == "gguf"


def test_the_kernel_that_is_asked_for_counts(make_gpu) -> None:
    """cuDNN's takes copies of queries, keys and values, which is the fullest moment where tokens go in parts."""
    machine = make_gpu(80, capability=(9, 0))
    needs = {}
    for kernel in ("auto", "_native_cudnn", "native"):
        choice = choose_plan(machine, WAN_ANIMATE_14B, ClipSize(), attention=kernel)
        needs[kernel] = next(row.needs for row in choice.rows if row.plan.name == "compact").stages["denoise"]
    assert needs["auto"] == needs["_native_cudnn"] > needs["native"]
    with pytest.raises(UserError, match="no attention kernel 'quick'"):
        choose_plan(machine, WAN_ANIMATE_14B, ClipSize(), attention="quick")


def test_what_is_streamed_alone_is_held_in_cpu_memory() -> None:
    needs = {plan.name: needs_of(plan, WAN_ANIMATE_14B, ClipSize(), guided=True) for plan in PLANS}
    unheld = ("resident", "compact", "int8", "fp8", "nf4", "fp8-dynamic")
    assert len({needs[name].ram for name in unheld}) == 1
    assert needs["resident"].ram < 4.1 * GIB
    for name in ("stream", "stream-int8"):
        blocks = needs[name].one_pass
        assert needs[name].ram - needs["resident"].ram == blocks.all_blocks + 4 * blocks.block


def test_adapters_kept_beside_packed_weights_are_counted() -> None:
    plan, apart = find_plan("gguf"), 2 * GIB
    without, beside = (needs_of(plan, dataclasses.replace(Q4, apart=size), SHORT, guided=False) for size in (0, apart))
    assert beside.device - without.device == pytest.approx(apart * (1 + SHARE_MARGIN), rel=1e-6)


def test_adapters_beside_streamed_packed_weights_wait_in_cpu_memory() -> None:
    plan, apart = find_plan("stream-gguf"), 2 * GIB
    without, beside = (needs_of(plan, dataclasses.replace(Q4, apart=size), SHORT, guided=False) for size in (0, apart))
    assert beside.ram - without.ram == pytest.approx(apart * (1 + 4 / 40), rel=1e-6)  # and those of blocks on their way


def test_loading_is_a_stage_and_never_the_fullest_of_a_shot() -> None:
    """A plain block and float32 copies of its largest matrix; for `stream-int8` as for the others."""
    for plan in PLANS:
        base = Q4 if plan.weights == "gguf" else WAN_ANIMATE_14B
        needs = needs_of(plan, base, ClipSize(), guided=False)
        assert needs.stages["load"] < max(needs.stages.values())
    one = needs_of(find_plan("stream-int8"), WAN_ANIMATE_14B, ClipSize(), guided=False)
    rest = one.one_pass.weights - one.one_pass.all_blocks
    transient = one.stages["load"] - rest
    assert 1.5 * GIB < transient < 2.5 * GIB  # with the autoencoder, 0.24 GiB


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
    assert chosen(make_gpu(80), Q4) == "gguf"
    assert chosen(cpu_machine, Q4) == "cpu"
    with pytest.raises(UserError, match=r"'int8' cannot run.*the base is a GGUF file, packed already"):
        choose_plan(make_gpu(80), Q4, ClipSize(), wanted="int8")


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
        assert set(needs.stages) == {"load", "text", "image", "encode", "denoise", "decode"}
        assert needs.device == round(max(needs.stages.values()) * (1 + SHARE_MARGIN) + FIXED_MARGIN)
        assert min(needs.stages.values()) > needs.one_pass.weights
    # The image encoder lies on the device under the one plan, and comes there for its use under the other.
    assert resident.stages["denoise"] - compact.stages["denoise"] > 2.3 * GIB
    streamed = needs_of(find_plan("stream"), WAN_ANIMATE_14B, SHORT, guided=True)
    one_pass = compact.one_pass
    assert compact.stages["denoise"] - streamed.stages["denoise"] == one_pass.all_blocks - 2 * one_pass.block


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
