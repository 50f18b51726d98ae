"""Generation in a process of its own, where nothing but the command has imported anything."""

import subprocess
import sys
from pathlib import Path

from real2sam2real.media import read_video


def test_generate_imports_what_it_needs(cli, scene: Path, checkpoint: Path) -> None:
    assert cli("render", "scene", "--frames", "5", "--size", "64x48", "-o", "control").status == 0
    call = (
        "import atexit, pathlib, sys; from real2sam2real.cli.main import main; "
        "atexit.register(lambda: pathlib.Path('modules').write_text('\\n'.join(sys.modules))); main()"
    )
    arguments = ["generate", "control", "--checkpoint", checkpoint, "-o", "video.mp4"]
    done = subprocess.run([sys.executable, "-c", call, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for complaint in ("Warning", "Failed to load", "Unable to import"):  # of libraries about their own parts
        assert complaint not in done.stderr
    assert len(read_video("video.mp4")) == 5
    assert not {"bitsandbytes", "scipy.stats"}.intersection(Path("modules").read_text().split())
