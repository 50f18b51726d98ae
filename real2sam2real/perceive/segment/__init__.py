"""Masks by word, point or box: GrabCut, SAM 2.1, MM-Grounding-DINO and SAM 3 behind one interface."""
