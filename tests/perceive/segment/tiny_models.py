"""Small random models of the real architectures, saved as their published checkpoints are: weights, config, frame."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    CLIPTextConfig,
    CLIPTokenizer,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VisionConfig,
    Sam3Config,
    Sam3Model,
    Sam3TrackerVideoConfig,
    Sam3VideoConfig,
    Sam3VideoModel,
    SwinConfig,
)
from transformers.models.sam3.configuration_sam3 import (
    Sam3DETRDecoderConfig,
    Sam3DETREncoderConfig,
    Sam3GeometryEncoderConfig,
    Sam3MaskDecoderConfig,
    Sam3VisionConfig,
    Sam3ViTConfig,
)

SAM2_SIDE, SAM3_SIDE = 128, 56
WORDS = ("car", "dog", "person", "red", "bench", "van")
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def _preprocessor(folder: Path, **values: object) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(values))


def save_sam2(folder: Path, width: int = 32) -> Sam2Model:
    torch.manual_seed(0)
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SAM2_SIDE, SAM2_SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[8, 4, 4, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=width,
    )
    prompts = Sam2PromptEncoderConfig(hidden_size=width, image_size=SAM2_SIDE, patch_size=16)
    decoder = Sam2MaskDecoderConfig(hidden_size=width, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16)
    config = Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    model = Sam2Model(config).eval()
    model.save_pretrained(folder)
    _preprocessor(folder, size={"height": SAM2_SIDE, "width": SAM2_SIDE}, **IMAGENET)
    return model


def save_sam2_video(folder: Path, part: Sam2Model) -> Sam2VideoModel:
    """The form in which SAM 2.1 is published: a model for video, of which the one for images is a part.

    It can be saved whatever the part's width, but follows things only if that is 128: its attention to its memory has
    64 channels built in, and what it remembers of an object must be made of several pieces of them.
    """
    torch.manual_seed(1)
    width = part.config.prompt_encoder_config.hidden_size
    wide = ("attention_hidden_size", "attention_feed_forward_hidden_size", "encoder_hidden_size")
    narrow = {f"memory_{name}": width for name in (*wide, "fuser_embed_dim", "fuser_intermediate_dim")}
    config = Sam2VideoConfig(
        vision_config=part.config.vision_config.to_dict(),
        prompt_encoder_config=part.config.prompt_encoder_config.to_dict(),
        mask_decoder_config=part.config.mask_decoder_config.to_dict(),
        image_size=SAM2_SIDE,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=width,
        memory_attention_num_layers=1,
        memory_attention_num_attention_heads=1,
        memory_attention_rope_feat_sizes=[8, 8],
        initializer_range=0.2,  # weights as large as trained ones are: inputs make a difference
        **narrow,
    )
    model = Sam2VideoModel(config).eval()
    _always_there(model.mask_decoder)
    model.save_pretrained(folder)
    _preprocessor(folder, size={"height": SAM2_SIDE, "width": SAM2_SIDE}, **IMAGENET)
    return model


def _always_there(decoder: Any) -> None:
    """Sure that what it follows is in the picture: chance may else say that it never is, whatever the masks."""
    with torch.no_grad():
        decoder.pred_obj_score_head.proj_out.bias.fill_(20.0)


def save_grounding(folder: Path) -> MMGroundingDinoForObjectDetection:
    torch.manual_seed(0)
    swin = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=2,
        out_indices=[2, 3, 4],
        drop_path_rate=0.0,
    )
    bert = BertConfig(
        vocab_size=1100,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    config = MMGroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=32,
        num_queries=20,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_text_len=32,
    )
    model = MMGroundingDinoForObjectDetection(config).eval()
    model.save_pretrained(folder)
    _bert_tokenizer().save_pretrained(folder)
    _preprocessor(folder, size={"shortest_edge": 64, "longest_edge": 96}, **IMAGENET)
    return model


def _bert_tokenizer() -> BertTokenizer:
    """BERT's own ids for what splits phrases: the model has them built in."""
    vocab = {f"[unused{i}]": i for i in range(1100)}
    fixed = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
    fixed |= {word: 200 + i for i, word in enumerate((*WORDS, "##s", "potted", "plant"))}
    by_id = {i: f"[unused{i}]" for i in range(1100)} | {i: token for token, i in fixed.items()}
    vocab = {token: i for i, token in by_id.items()}
    return BertTokenizer(vocab=vocab, do_lower_case=True)


def _sam3_config(width: int) -> Sam3Config:
    vit = Sam3ViTConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SAM3_SIDE,
        patch_size=14,
        window_size=2,
        global_attn_indexes=[1],
        pretrain_image_size=28,
    )
    sizes = [[16, 16], [8, 8], [4, 4]]
    narrow = {"hidden_size": width, "num_attention_heads": 2}
    return Sam3Config(
        vision_config=Sam3VisionConfig(backbone_config=vit, fpn_hidden_size=width, backbone_feature_sizes=sizes),
        text_config=CLIPTextConfig(
            vocab_size=600,
            hidden_size=16,
            intermediate_size=16,
            projection_dim=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=32,
        ),
        geometry_encoder_config=Sam3GeometryEncoderConfig(num_layers=1, intermediate_size=32, **narrow),
        detr_encoder_config=Sam3DETREncoderConfig(num_layers=1, intermediate_size=32, **narrow),
        detr_decoder_config=Sam3DETRDecoderConfig(num_layers=1, intermediate_size=32, num_queries=12, **narrow),
        mask_decoder_config=Sam3MaskDecoderConfig(**narrow),
    )


def _save_sam3_rest(folder: Path) -> None:
    _clip_tokenizer().save_pretrained(folder)
    side = {"height": SAM3_SIDE, "width": SAM3_SIDE}
    _preprocessor(folder, size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3)


def save_sam3(folder: Path) -> Sam3Model:
    torch.manual_seed(0)
    model = Sam3Model(_sam3_config(width=32)).eval()
    model.save_pretrained(folder)
    _save_sam3_rest(folder)
    return model


def save_sam3_video(folder: Path) -> Sam3VideoModel:
    """The form in which SAM 3 is published: a detector for words and a tracker, on one backbone."""
    torch.manual_seed(0)
    width = 128  # see save_sam2_video
    detector = _sam3_config(width)
    wide = ("attention_hidden_size", "attention_feed_forward_hidden_size", "encoder_hidden_size")
    narrow = {f"memory_{name}": width for name in (*wide, "fuser_embed_dim", "fuser_intermediate_dim")}
    tracker = Sam3TrackerVideoConfig(
        vision_config=detector.vision_config.to_dict(),
        prompt_encoder_config={"hidden_size": width, "image_size": SAM3_SIDE, "patch_size": 14},
        mask_decoder_config={
            "hidden_size": width,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
        image_size=SAM3_SIDE,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=width,
        memory_attention_num_layers=1,
        initializer_range=0.2,
        **narrow,
    )
    # A model of chance is never sure; about half of its queries are above these limits.
    limits = {"score_threshold_detection": 0.25, "new_det_thresh": 0.25, "det_nms_thresh": 0.5, "assoc_iou_thresh": 0.5}
    config = Sam3VideoConfig(
        detector_config=detector.to_dict(),
        tracker_config=tracker.to_dict(),
        low_res_mask_size=16,
        hotstart_delay=4,
        hotstart_unmatch_thresh=4,
        hotstart_dup_thresh=4,
        fill_hole_area=2,
        **limits,
    )
    model = Sam3VideoModel(config).eval()
    _always_there(model.tracker_model.mask_decoder)
    with torch.no_grad():  # masks as decided as those of trained weights
        model.detector_model.mask_decoder.mask_embedder.layers[-1].weight.mul_(1000.0)
    model.save_pretrained(folder)
    _save_sam3_rest(folder)
    return model


def _clip_tokenizer() -> CLIPTokenizer:
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[])
