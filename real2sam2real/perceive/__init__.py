"""From photo and mask files to pixels, masks and intrinsics."""
