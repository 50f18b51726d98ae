import pytest
import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

from real2sam2real.diffusion.weights import keys


def test_names_agree_with_diffusers_converter(wan, original_names):
    state = wan.state_dict()
    original = original_names(state)
    converted = convert_wan_transformer_to_diffusers(dict(original))
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[key], state[key]) for key in state)
    for key in original:
        theirs = next(iter(convert_wan_transformer_to_diffusers({key: torch.zeros(1, 2, 1, 1)})))
        if not keys.is_left_out(key):
            assert keys.to_ours(key) == theirs
            assert keys.to_ours(f"model.diffusion_model.{key}") == theirs
            assert keys.to_ours(theirs) == theirs
            assert keys.to_original(theirs) == key


def test_every_parameter_of_ours_has_an_original_name_and_back(wan):
    ours = [key for key in wan.state_dict() if not keys.is_left_out(key)]
    original = [keys.to_original(key) for key in ours]
    assert len({*original}) == len(ours)
    assert [keys.to_ours(key) for key in original] == ours


def test_exactly_the_face_branch_is_left_out_in_every_naming_style(wan, original_names):
    face = ("motion_encoder.", "face_encoder.", "face_adapter.")
    for names in (wan.state_dict(), original_names(wan.state_dict())):
        for key in names:
            for prefix in ("", *keys.PREFIXES, "base_model.model.transformer."):
                assert keys.is_left_out(prefix + key) == key.startswith(face)


def test_an_unused_normalisation_of_some_conversions_is_left_out():
    assert keys.is_left_out("blocks.3.attn2.norm_added_q.weight")
    assert not keys.is_face_branch("blocks.3.attn2.norm_added_q.weight")


@pytest.mark.parametrize(
    "key",
    ["blocks.0.self_attn.z.weight", "blocks.x.self_attn.q.weight", "img_emb.emb_pos", "vace_blocks.0.norm3.weight",
     "blocks.0.self_attn.q.scale", "blocks.0.self_attn.q", "weight", "blocks.0.scale_shift_table.weight", "x.bias"],
)  # fmt: skip
def test_unknown_names_are_told(key):
    assert keys.to_ours(key) is None


def test_kohya_names_round_trip(wan):
    modules = {key.rpartition(".")[0] for key in wan.state_dict() if not keys.is_left_out(key)}
    modules = {name for name in modules if keys.module_to_ours(name)}
    assert len(modules) > 40
    for module in modules:
        flat = keys.module_to_original(module).replace(".", "_")
        assert keys.module_from_kohya(flat) == keys.module_to_original(module)
        assert keys.module_to_ours(keys.module_from_kohya(module.replace(".", "_"))) == module
    assert keys.module_from_kohya("blocks_0_self_attn_z") is None
    assert keys.module_from_kohya("text_model_encoder_layers_0") is None
