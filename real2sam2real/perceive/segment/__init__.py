"""Masks by word, point or box: networks of the package's own, GrabCut, SAM 2.1 and SAM 3 behind one interface."""
