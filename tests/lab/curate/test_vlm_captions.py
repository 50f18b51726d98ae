"""Captions by a tiny random model of a real architecture (LLaVA), with a tokenizer of a few words."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.curate.captions import VlmCaptioner, cleaned, instruction, load_captioner, spread

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

SPECIAL = ("<unk>", "<pad>", "<s>", "</s>", "<image>")
TEXT = "USER ASSISTANT a child dog runs on the bed red blue clip frames sentence name"
WORDS = (*SPECIAL, ":", ",", ".", *TEXT.split(" "))
VIDEO = np.random.default_rng(0).integers(0, 255, (9, 40, 60, 3)).astype(np.uint8)
LABELS = {1: "child", 2: "dog"}
TEMPLATE = (
    "{% for message in messages %}USER : {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}ASSISTANT :{% endif %}"
)


def save_llava(folder: Path) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=words,
            unk_token="<unk>",
            pad_token="<pad>",
            bos_token="<s>",
            eos_token="</s>",
            extra_special_tokens={"image_token": "<image>"},
        ),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    narrow = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "initializer_range": 0.5}
    eye = CLIPVisionConfig(num_hidden_layers=2, image_size=28, patch_size=14, **narrow)
    mind = LlamaConfig(
        vocab_size=len(WORDS),
        num_hidden_layers=1,
        num_key_value_heads=2,
        pad_token_id=1,
        bos_token_id=2,
        eos_token_id=3,
        **narrow,
    )
    torch.manual_seed(0)
    config = LlavaConfig(vision_config=eye.to_dict(), text_config=mind.to_dict(), image_token_index=4)
    model = LlavaForConditionalGeneration(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("llava")
    save_llava(at)
    return at


@pytest.fixture(scope="module")
def captioner(folder: Path) -> VlmCaptioner:
    loaded = load_captioner(f"vlm:{folder}")
    assert isinstance(loaded, VlmCaptioner)
    assert loaded.name == f"vlm:{folder}"
    return loaded


def test_the_caption_is_what_the_model_generates(captioner: VlmCaptioner, folder: Path) -> None:
    from PIL import Image
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    text = f"USER : {'<image> ' * 4}{instruction(4, LABELS)} ASSISTANT :"
    pictures = [Image.fromarray(VIDEO[at]) for at in (0, 3, 5, 8)]
    inputs = processor(images=pictures, text=text, return_tensors="pt")
    tokens = model.generate(**inputs, do_sample=False, max_new_tokens=96)[0, inputs["input_ids"].shape[1] :]
    said = processor.tokenizer.decode(tokens, skip_special_tokens=True)
    assert said.strip()
    assert captioner.caption(VIDEO, LABELS) == cleaned(said, broken_off=len(tokens) == 96)


def test_the_same_clip_gets_the_same_words(captioner: VlmCaptioner) -> None:
    captions = {captioner.caption(VIDEO, LABELS) for _ in range(2)}
    assert len(captions) == 1
    assert "\n" not in captions.pop()


def test_the_frames_and_labels_reach_the_model(captioner: VlmCaptioner, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    generate = type(captioner.model).generate

    def listening(self: Any, **inputs: Any) -> Any:
        asked.append(inputs)
        return generate(self, **inputs)

    monkeypatch.setattr(type(captioner.model), "generate", listening)
    captioner.caption(VIDEO, LABELS)
    captioner.caption(VIDEO[::-1], LABELS)
    captioner.caption(VIDEO, {1: "bed"})
    first, reverse, other = asked
    assert first["pixel_values"].shape == (4, 3, 28, 28)
    assert torch.equal(first["pixel_values"], reverse["pixel_values"].flip(0))
    assert not torch.equal(first["pixel_values"][0], first["pixel_values"][1])
    assert first["do_sample"] is False
    child, bed = WORDS.index("child"), WORDS.index("bed")
    assert child in first["input_ids"]
    assert bed not in first["input_ids"]
    assert bed in other["input_ids"]
    with torch.inference_mode():
        logits = [captioner.model(**captioner.inputs(clip, LABELS)).logits[:, -1] for clip in (VIDEO, VIDEO[::-1])]
    assert not torch.allclose(*logits)


def test_frames_are_spread_from_first_to_last() -> None:
    numbers = np.arange(81, dtype=np.uint8)[:, None, None, None]
    assert spread(numbers).ravel().tolist() == [0, 27, 53, 80]
    assert spread(numbers[:2]).ravel().tolist() == [0, 1]
    assert spread(numbers[:1]).ravel().tolist() == [0]


def test_the_instruction_names_the_labels() -> None:
    asked = instruction(4, {2: "bed", 1: "child", 3: "bed"})
    assert "4 frames" in asked
    assert "a child and two beds" in asked
    assert "Name" not in instruction(1, {})


@pytest.mark.parametrize(
    ("answer", "broken_off", "line"),
    [
        (" A child\n runs.\n", False, "A child runs."),
        ('"A child runs."', False, "A child runs."),
        ("A child", False, "A child"),
        ("A child runs. A dog barks! The be", True, "A child runs. A dog barks!"),
        ("A child runs for 1.5 km and the", True, "A child runs for 1.5 km and the"),
        (' "" ', False, ""),
    ],
)
def test_an_answer_becomes_one_line(answer: str, broken_off: bool, line: str) -> None:
    assert cleaned(answer, broken_off=broken_off) == line


def test_a_model_that_says_nothing_is_no_captioner(captioner: VlmCaptioner, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(self: Any, **inputs: Any) -> Any:
        return torch.nn.functional.pad(inputs["input_ids"], (0, 1), value=3)

    monkeypatch.setattr(type(captioner.model), "generate", silent)
    with pytest.raises(UserError, match="nothing to say"):
        captioner.caption(VIDEO, LABELS)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingPartError, match="no processor"):
        load_captioner(f"vlm:{tmp_path}")
    with pytest.raises(UserError, match="no folder"):
        load_captioner("vlm:./nowhere")
    without = tmp_path / "without"
    shutil.copytree(folder, without, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(MissingPartError, match=r"no \.safetensors"):
        load_captioner(f"vlm:{without}")
    (folder_without := tmp_path / "mute").mkdir()
    for file in folder.iterdir():
        if file.name != "chat_template.jinja":
            shutil.copy(file, folder_without)
    with pytest.raises(UserError, match="no chat template"):
        load_captioner(f"vlm:{folder_without}")


def test_a_processor_that_needs_torchvision_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    from transformers.utils import is_torchvision_available

    if is_torchvision_available():
        pytest.skip("torchvision is installed")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_vl"}))
    described = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(described))
    with pytest.raises(MissingPartError, match="pip install torchvision"):
        load_captioner(f"vlm:{tmp_path}")


def test_a_model_of_text_alone_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    config = LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    words = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"cannot be loaded|takes no pictures"):
        load_captioner(f"vlm:{tmp_path}")
