"""Minimally invasive fine-tuning: a patch embedding for normals and a LoRA, on a frozen base."""
