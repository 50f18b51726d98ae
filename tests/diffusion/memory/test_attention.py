"""Which kernel attends, and that choosing one changes the transformer that asks for it."""

import dataclasses

import pytest
import torch
from diffusers.models.attention_dispatch import (
    _HUB_KERNELS_REGISTRY,
    AttentionBackendName,
    _AttentionBackendRegistry,
)

from real2sam2real.diffusion.memory.attention import BACKENDS, choose_backend, refusal, use_backend
from real2sam2real.diffusion.memory.machine import Machine, inspect_machine, installed_packages
from real2sam2real.errors import UserError

EVERYTHING = {"flash-attn": "2.8", "flash-attn-3": "3.0", "sageattention": "2.2"}


def test_all_are_diffusers_own_names() -> None:
    assert {backend.name for backend in BACKENDS} <= {name.value for name in AttentionBackendName}
    parallel = {str(getattr(b, "value", b)) for b in _AttentionBackendRegistry._supports_context_parallel}
    assert {b.name for b in BACKENDS if b.parallel} == parallel & {b.name for b in BACKENDS}


@pytest.mark.parametrize(
    ("capability", "packages", "name"),
    [
        ((9, 0), EVERYTHING, "_flash_3"),
        ((9, 0), {}, "_native_cudnn"),
        ((10, 0), EVERYTHING, "_native_cudnn"),
        ((12, 0), EVERYTHING, "native"),
        ((8, 9), EVERYTHING, "flash"),
        ((8, 6), {"sageattention": "2.2"}, "native"),
        ((7, 5), EVERYTHING, "native"),
        (None, EVERYTHING, "native"),
    ],
)
def test_the_fastest_exact_one_that_runs_is_chosen(make_gpu, capability, packages, name: str) -> None:
    assert choose_backend(make_gpu(80, capability=capability, packages=packages)).name == name


def test_several_gpus_take_one_that_can_share(make_gpu) -> None:
    hopper = make_gpu(80, capability=(9, 0), packages=EVERYTHING)
    assert choose_backend(hopper, parallel=True).name == "_native_cudnn"


def test_what_rounds_is_used_only_when_asked_for(make_gpu, make_transformer, monkeypatch) -> None:
    monkeypatch.setattr(type(make_transformer()), "set_attention_backend", lambda self, name: asked.append(name))
    asked: list[str] = []
    machine = make_gpu(80, packages=EVERYTHING)
    assert use_backend(make_transformer(), machine).name == "flash"
    assert use_backend(make_transformer(), machine, "sage").name == "sage"
    assert asked == ["flash", "sage"]


HUB = {backend.name for backend in BACKENDS if backend.hub}


def test_code_from_the_hub_runs_only_when_asked_for(make_gpu, make_transformer, monkeypatch) -> None:
    """As diffusers' names, for which it has a kernel on the hub; never by itself, never offline."""
    assert {"_flash_3_hub", "flash_4_hub", "sage_hub"} == HUB
    assert {AttentionBackendName(name) for name in HUB} <= _HUB_KERNELS_REGISTRY.keys()
    hopper = make_gpu(80, capability=(9, 0))
    assert "kernels" in hopper.packages
    assert choose_backend(hopper).name == "_native_cudnn"
    assert {choose_backend(hopper, name).name for name in HUB} == HUB
    with pytest.raises(UserError, match=r"comes from the hub, which --offline forbids.*HF_HUB_OFFLINE=1"):
        choose_backend(hopper, "sage_hub", offline=True)
    with pytest.raises(UserError, match=r"'_flash_3_hub'.* cannot run: pip install kernels"):
        choose_backend(dataclasses.replace(hopper, packages={}), "_flash_3_hub")
    with pytest.raises(UserError, match=r"'_flash_3_hub'.* cannot run: the GPU is too new"):
        choose_backend(make_gpu(80, capability=(12, 0)), "_flash_3_hub")
    # diffusers' own refusal: here the package is missing, elsewhere it is too old, or the hub is out of reach
    monkeypatch.setattr("diffusers.models.attention_dispatch.is_kernels_available", lambda: False)
    with pytest.raises(
        UserError, match=r"'sage_hub'.* cannot be had from the hub: .*pip install kernels.*or another of"
    ):
        use_backend(make_transformer(), hopper, "sage_hub")


def test_the_default_is_set_when_it_is_asked_for(make_transformer, cpu_machine: Machine, monkeypatch) -> None:
    """DIFFUSERS_ATTN_BACKEND may name another one."""
    asked: list[str] = []
    monkeypatch.setattr(type(make_transformer()), "set_attention_backend", lambda self, name: asked.append(name))
    use_backend(make_transformer(), cpu_machine)
    assert asked == []
    use_backend(make_transformer(), cpu_machine, "native")
    assert asked == ["native"]


def test_one_that_cannot_run_is_refused(make_gpu, make_transformer, cpu_machine: Machine) -> None:
    transformer = make_transformer()
    with pytest.raises(UserError, match=r"'flash' \(FlashAttention 2\) cannot run: pip install flash-attn"):
        use_backend(transformer, make_gpu(80), "flash")
    with pytest.raises(UserError, match="there is no GPU"):
        use_backend(transformer, cpu_machine, "_native_cudnn")
    with pytest.raises(UserError, match="no attention kernel 'magic'"):
        use_backend(transformer, cpu_machine, "magic")
    hopper = make_gpu(80, capability=(9, 0), packages=EVERYTHING)
    with pytest.raises(UserError, match="share a video"):
        use_backend(transformer, hopper, "_flash_3", parallel=True)


def test_the_transformer_asks_diffusers_for_the_kernel(make_transformer) -> None:
    transformer = make_transformer()
    before = _AttentionBackendRegistry._active_backend
    try:
        transformer.set_attention_backend("native")
        assert {block.attn1.processor._attention_backend for block in transformer.blocks} == {"native"}
        assert {block.attn2.processor._attention_backend for block in transformer.blocks} == {"native"}
    finally:
        _AttentionBackendRegistry._active_backend = before


def test_this_machine_is_seen_as_it_is() -> None:
    machine = inspect_machine("cpu")
    assert (machine.device, machine.capability) == ("cpu", None)
    assert 0 < machine.free_ram <= machine.ram
    assert torch.__version__.partition("+")[0] == machine.packages["torch"].partition("+")[0]
    assert installed_packages() == machine.packages


def test_too_old_and_too_new_are_said(make_gpu) -> None:
    by_name = {backend.name: backend for backend in BACKENDS}
    assert refusal(by_name["_flash_3"], make_gpu(80, capability=(8, 0))) == "the GPU is too old for it"
    blackwell = dataclasses.replace(make_gpu(80), capability=(10, 0))
    assert refusal(by_name["_flash_3"], blackwell) == "the GPU is too new for it"
