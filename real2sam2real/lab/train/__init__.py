"""Pre-training of the mini model; minimally invasive fine-tuning."""
