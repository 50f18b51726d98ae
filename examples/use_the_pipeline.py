"""The pipeline itself, as any diffusers pipeline: every choice is yours.

python examples/use_the_pipeline.py config.txt
"""

import sys
from pathlib import Path

import real2sam2real as r2s


def main(out: Path) -> None:
    """Write the transformer's configuration."""
    pipeline = r2s.Real2Sam2RealPipeline.from_pretrained("mini")
    count = sum(parameter.numel() for parameter in pipeline.transformer.parameters())
    out.write_text(repr(pipeline.transformer.config), encoding="utf-8")
    print(f"{count / 1e6:.0f} million parameters; the configuration is in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "config.txt"))
