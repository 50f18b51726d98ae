import dataclasses

import pytest

from real2sam2real.lab.train.recipes import BaseConfig, smoke


@pytest.fixture(scope="session")
def tiny_config() -> BaseConfig:
    """Two stages of seconds, so that a stop can fall between and within them."""
    config = smoke()
    stage = config.stages[0]
    stages = (dataclasses.replace(stage, steps=4), dataclasses.replace(stage, width=32, steps=2))
    return dataclasses.replace(config, stages=stages)
