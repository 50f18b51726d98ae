"""A stand-in for VBench 0.1.5: its class, the call that our worker makes, the file that it writes. It looks at nothing.

What it does to a video is told by the text `STANDIN <what>` at the end of its file, or for all by $STANDIN_VBENCH.
"""

import json
import os
import subprocess
from pathlib import Path

VALUES = {
    "subject_consistency": 0.9,
    "background_consistency": 0.8,
    "motion_smoothness": 0.98,
    "aesthetic_quality": 0.5,
    "imaging_quality": 70.0,
}


class VBench:
    """Signatures are the real ones."""

    def __init__(self, device, full_info_dir, output_path):
        self.device, self.output_path = device, output_path
        Path(output_path).mkdir(parents=True, exist_ok=True)

    def evaluate(
        self,
        videos_path,
        name,
        prompt_list=[],  # noqa: B006  as in the real one
        dimension_list=None,
        local=False,
        read_frame=False,
        mode="vbench_standard",
        **kwargs,
    ):
        assert mode == "custom_input"
        told = os.environ.get("STANDIN_VBENCH", "")
        videos = sorted(path.name for path in Path(videos_path).iterdir())
        with Path(os.environ["STANDIN_CALLS"]).open("a") as log:
            cache = os.environ.get("VBENCH_CACHE_DIR") if local else None
            log.write(json.dumps([dimension_list, videos, str(self.device), cache]) + "\n")
        if told == "offline":
            subprocess.run(["false", "https://weights.invalid"], check=True)
        results = {}
        for dimension in dimension_list:
            each = [self._measure(dimension, Path(videos_path) / video, told) for video in videos]
            results[dimension] = [sum(e["video_results"] for e in each) / len(each), each]
        written = Path(self.output_path) / f"{name}_eval_results.json"
        written.write_text(json.dumps(results if told != "form" else {"all": 1}))

    def _measure(self, dimension, path, told):
        what = path.read_bytes()[-40:].partition(b"STANDIN ")[2].decode()
        if what == "unreadable":
            raise ValueError("cannot decode a frame")
        if what == "crash" and dimension == "aesthetic_quality" and told == "crash":
            os._exit(7)
        print(f"{dimension} of {path.name}", flush=True)
        return {"video_path": str(path), "video_results": VALUES[dimension] - 0.1 * (what == "worse")}
