import math

import pytest
import torch
from diffusers import WanAnimateTransformer3DModel

from real2sam2real.diffusion import transformer as transformer_module
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

IMAGE_TOKENS, TEXT_TOKENS = 7, 512  # diffusers' processor takes the last 512 tokens of the context as text


def inputs(frames=3, image=False):
    generator = torch.Generator().manual_seed(1)

    def rand(*shape):
        return torch.randn(*shape, generator=generator)

    return {
        "hidden_states": rand(2, 12, frames + 1, 4, 6),
        "timestep": torch.tensor([700.0, 20.0]),
        "encoder_hidden_states": rand(2, TEXT_TOKENS if image else 3, 16),
        "pose_hidden_states": rand(2, 4, frames, 4, 6),
        "encoder_hidden_states_image": rand(2, IMAGE_TOKENS, 20) if image else None,
    }


@torch.no_grad()
def test_equals_wan_animate_with_its_face_branch_silenced():
    shared = {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "latent_channels": 4,
        "text_dim": 16,
        "freq_dim": 16,
        "ffn_dim": 32,
        "num_layers": 2,
        "image_dim": 20,
        "added_kv_proj_dim": 24,
        "rope_max_seq_len": 32,
    }
    sizes = {str(size): 8 for size in (4, 8, 16, 32, 64, 128, 256, 512, 1024)}
    torch.manual_seed(3)
    theirs = WanAnimateTransformer3DModel(
        **shared,
        in_channels=12,
        out_channels=4,
        motion_encoder_channel_sizes=sizes,
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=8,
        face_encoder_hidden_dim=8,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    ).eval()
    for adapter in theirs.face_adapter:
        torch.nn.init.zeros_(adapter.to_out.weight)
        torch.nn.init.zeros_(adapter.to_out.bias)
    ours = Real2Sam2RealTransformer3DModel(
        **shared,
    ).eval()
    face = ("motion_encoder.", "face_encoder.", "face_adapter.")
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith(face)}, strict=True)
    given = inputs(image=True)
    expected = theirs(**given, face_pixel_values=torch.zeros(2, 3, 9, 16, 16), return_dict=False)[0]
    assert (ours(**given) - expected).abs().max() <= 1e-5
    assert expected.abs().max() > 0.1


@torch.no_grad()
def test_zero_initialised_injection_equals_no_injection(make_transformer):
    model = make_transformer()
    torch.nn.init.zeros_(model.pose_patch_embedding.weight)
    torch.nn.init.zeros_(model.pose_patch_embedding.bias)
    given = inputs()
    assert torch.equal(model(**given), model(**{**given, "pose_hidden_states": None}))


@torch.no_grad()
def test_normals_reach_video_tokens_and_never_the_reference(make_transformer):
    model = make_transformer()
    given = inputs()
    with_normals = model._embed(given["hidden_states"], model.pose_patch_embedding(given["pose_hidden_states"]))
    without = model._embed(given["hidden_states"], None)
    changed = (with_normals != without).any(dim=-1)
    reference_tokens = 2 * 3
    assert not changed[:, :reference_tokens].any()
    assert changed[:, reference_tokens:].all()


def test_normals_of_another_length_are_refused(make_transformer):
    given = inputs()
    given["pose_hidden_states"] = given["pose_hidden_states"][:, :, :2]
    with pytest.raises(ValueError, match="2 latent frames"):
        make_transformer()(**given)


def test_activations_computed_again_in_parts_or_kept_elsewhere_give_the_same_gradients(make_transformer, monkeypatch):
    """Recomputed and offloaded to the bit; parts sum the gradients of weights in another order."""
    waiting = []

    class Watched(transformer_module.save_on_cpu):
        def __init__(self, **options):
            super().__init__(**options)
            pack = self.pack_hook
            self.pack_hook = lambda tensor: (waiting.append(tensor.numel()), pack(tensor))[1]

    monkeypatch.setattr(transformer_module, "save_on_cpu", Watched)
    gradients = {}
    for name, chunks, offload in (("kept", 1, False), ("again", 1, False), ("parts", 3, False), ("offloaded", 3, True)):
        model = make_transformer()
        if name != "kept":
            model.enable_gradient_checkpointing()
        model.set_token_chunks(chunks)
        model.offload_activations = offload
        model.train()(**inputs()).square().mean().backward()
        gradients[name] = [p.grad for p in model.parameters()]
    same = [all(map(torch.equal, gradients[a], gradients[b])) for a, b in (("kept", "again"), ("parts", "offloaded"))]
    assert same == [True, True]
    for plain, parts in zip(gradients["kept"], gradients["parts"], strict=True):
        torch.testing.assert_close(plain, parts, atol=1e-6, rtol=1e-4)
    tokens = 2 * math.prod(inputs()["hidden_states"].shape[2:]) // 4 * 24
    assert [size for size in waiting if size] == [tokens] * 2  # what goes into each block, and nothing else


@torch.no_grad()
def test_saved_and_loaded_is_the_same(make_transformer, tmp_path):
    model = make_transformer(prediction="sample")
    model.save_pretrained(tmp_path)
    loaded = Real2Sam2RealTransformer3DModel.from_pretrained(tmp_path)
    assert loaded.config.prediction == "sample"
    assert torch.equal(model(**inputs()), loaded(**inputs()))


@torch.no_grad()
@pytest.mark.parametrize("keys_values", [True, False])
def test_precomputed_constants_change_nothing(make_transformer, keys_values):
    model = make_transformer(image_dim=20, added_kv_proj_dim=24)
    given = inputs(image=True)
    constants = model.precompute(
        given["encoder_hidden_states"],
        given["pose_hidden_states"],
        given["encoder_hidden_states_image"],
        keys_values=keys_values,
    )
    repeated = model(given["hidden_states"], given["timestep"], constants=constants)
    assert torch.equal(repeated, model(**given))
    assert (constants.keys_values is not None) == keys_values


@torch.no_grad()
def test_token_chunks_change_nothing_but_memory(make_transformer):
    model = make_transformer(image_dim=20, added_kv_proj_dim=24)
    whole = model(**inputs(image=True))
    model.set_token_chunks(3)
    torch.testing.assert_close(model(**inputs(image=True)), whole, atol=1e-6, rtol=0)


def test_a_pass_without_text_or_constants_is_refused(make_transformer):
    given = inputs()
    with pytest.raises(ValueError, match="constants"):
        make_transformer()(given["hidden_states"], given["timestep"])


def test_unknown_prediction_is_refused(make_transformer):
    with pytest.raises(ValueError, match="'noise'"):
        make_transformer(prediction="noise")
