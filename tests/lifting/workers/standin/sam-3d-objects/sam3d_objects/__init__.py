"""Stand-in: like the real one, it runs heavy start-up code unless it is told not to."""

import os

if not os.environ.get("LIDRA_SKIP_INIT"):
    raise RuntimeError("sam3d_objects was imported before notebook/inference.py could tell it to skip its start-up")
