import tarfile

import numpy as np
import pytest

from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.dataset import (
    PARTS,
    DatasetInfo,
    Sample,
    iterate_samples,
    read_info,
    shard_paths,
    shard_writer,
    write_info,
)
from real2sam2real.lab.synth import sample_clip

WIDTH, HEIGHT, FRAMES = 48, 32, 5


def info(**changes):
    values = {"normals_by": "truth", "masks_by": "truth", "captions_by": "none", "licence": "CC0-1.0", "fps": 16.0}
    return DatasetInfo(width=WIDTH, height=HEIGHT, frames=FRAMES, **{**values, **changes})


def sample(seed=3, **changes):
    clip = sample_clip(seed, width=WIDTH, height=HEIGHT, frames=FRAMES)
    values = {
        "key": f"clip-{seed}_0",
        "video": clip.video,
        "normals": clip.normals,
        "ids": clip.ids,
        "caption": "a crate – turning",
        "labels": {k + 1: entity.name for k, entity in enumerate(clip.scene.entities)},
        "record": {"source": "a b.mp4", "seconds": [0.0, 1.5]},
    }
    return Sample(**{**values, **changes})


def written(folder, samples, **changes):
    write_info(folder, info(**changes))
    with shard_writer(folder / "shards" / "shard-000000.tar", info(**changes)) as writer:
        for one in samples:
            writer.add(one)
    return folder


@pytest.mark.parametrize("convention", [NormalConvention(), NormalConvention.preset("dsine")], ids=["ours", "dsine"])
def test_samples_come_back(tmp_path, convention):
    given = [sample(3), sample(4)]
    folder = written(tmp_path, given, normal_convention=convention)
    assert read_info(folder) == info(normal_convention=convention)
    description = folder / "dataset.json"
    description.write_text(description.read_text("utf-8").replace('"normal_convention"', '"coding"'), "utf-8")
    assert '"coding"' in description.read_text("utf-8")  # as older data sets have it
    assert read_info(folder) == info(normal_convention=convention)
    found = list(iterate_samples(folder))
    assert [one.key for one in found] == ["clip-3_0", "clip-4_0"]
    for one, expected in zip(found, given, strict=True):
        assert np.array_equal(one.video, expected.video)
        assert np.array_equal(one.ids, expected.ids)
        assert (one.caption, one.labels, one.record) == (expected.caption, expected.labels, expected.record)
        inside = expected.ids > 0
        length = np.linalg.norm(expected.normals[inside], axis=-1)
        cosine = (one.normals[inside] * expected.normals[inside]).sum(axis=-1) / length
        allowed = np.degrees(np.arcsin(np.sqrt(3) / 255)) + 0.05  # of 8-bit colours
        # Anti-aliased rims are shorter than one before they are encoded, and so come back less exactly.
        assert np.degrees(np.arccos(np.clip(cosine[length > 0.99], -1, 1))).max() <= allowed
        assert not one.normals[~inside].any()


def test_a_shard_is_what_webdataset_readers_expect(tmp_path):
    folder = written(tmp_path, [sample(3), sample(4)])
    with tarfile.open(shard_paths(folder)[0]) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == [f"clip-{k}_0.{part}" for k in (3, 4) for part in PARTS]
    assert {(member.mtime, member.uid, member.uname, member.isfile()) for member in members} == {(0, 0, "", True)}


def test_a_shard_that_fails_is_not_there(tmp_path):
    path = tmp_path / "shards" / "shard-000000.tar"
    with pytest.raises(RuntimeError), shard_writer(path, info()) as writer:  # noqa: PT012  the failure comes after
        writer.add(sample())
        raise RuntimeError("power cut")
    assert list(path.parent.iterdir()) == []


def test_a_sample_of_another_shape_or_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the data set's clips have"):
        written(tmp_path, [larger()])
    with pytest.raises(ValueError, match="already"):
        written(tmp_path, [sample(), sample()])


def larger():
    clip = sample_clip(3, width=WIDTH + 16, height=HEIGHT, frames=FRAMES)
    return sample(video=clip.video, normals=clip.normals, ids=clip.ids)


def test_arrays_that_do_not_fit_and_strange_keys_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        sample(ids=np.zeros((FRAMES, HEIGHT, WIDTH + 1), np.uint8))
    with pytest.raises(ValueError, match="characters"):
        sample(key="a.b")


def test_a_damaged_shard_is_named(tmp_path):
    folder = written(tmp_path, [sample(3), sample(4)])
    path = shard_paths(folder)[0]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"shard-000000\.tar"):
        list(iterate_samples(folder))


def test_what_is_no_data_set_or_empty_says_so(tmp_path):
    with pytest.raises(UserError, match="r2s2r curate"):
        next(iterate_samples(tmp_path))
    write_info(tmp_path, info())
    with pytest.raises(UserError, match="no samples yet"):
        next(iterate_samples(tmp_path))
    text = (tmp_path / "dataset.json").read_text()
    (tmp_path / "dataset.json").write_text(text.replace('"version": 1', '"version": 9'))
    with pytest.raises(UserError, match="version 9"):
        read_info(tmp_path)
