"""Curation from files to a data set: what is kept and why not, interrupted, on Ray, and refused."""

from __future__ import annotations

import json
import shutil
import signal
import time
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.clip_format import ClipFormat
from real2sam2real.lab.curate.dataset import iterate_samples, read_info
from real2sam2real.lab.curate.pipeline.run import curate
from real2sam2real.lab.curate.pipeline.settings import CurationSettings, find_sources
from real2sam2real.lab.curate.prompts import SourcePrompt
from real2sam2real.lab.curate.quality import QualityFilter
from real2sam2real.lab.synth import sample_clip
from real2sam2real.lab.synth.export import write_clips

FORMAT = ClipFormat(width=96, height=64, frames=5, fps=16)
SETTINGS = CurationSettings(
    clip_format=FORMAT,
    quality_filter=QualityFilter(min_change=0, min_light=0, min_sharpness=0),
    shots="none",
    licence="own",
    shard_samples=2,
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three clips that are fit for use, one without marks, one that is no video, one too short."""
    folder = tmp_path_factory.mktemp("clips")
    list(write_clips(folder, range(40, 43), width=96, height=64, frames=5))
    frames = sample_clip(43, width=96, height=64, frames=5).video
    media.write_lossless_video(folder / "unmarked.mkv", frames, 16)
    media.write_lossless_video(folder / "short.mkv", frames[:3], 16)
    (folder / "broken.mp4").write_bytes(b"this is no video")
    return folder


@pytest.fixture(scope="module")
def dataset(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    return folder, curate(find_sources([clips], []), SETTINGS, folder)


def contents(folder):
    """Every file's bytes but the timings'."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name not in ("timings.jsonl", ".lock"))
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_every_source_has_a_row_that_says_what_became_of_it(dataset):
    folder, outcome = dataset
    rows = {row["path"].rsplit("/", 1)[1]: row for row in map(json.loads, (folder / "manifest.jsonl").open())}
    assert len(rows) == 6
    assert rows["broken.mp4"]["status"] == "failed"
    assert "cannot be read as a video" in rows["broken.mp4"]["reasons"][0]
    assert rows["short.mkv"]["status"] == "dropped"
    assert "too short" in rows["short.mkv"]["reasons"][0]
    assert "nothing is marked" in rows["unmarked.mkv"]["reasons"][0]
    assert [row["status"] for name, row in rows.items() if name.startswith("clip-")] == ["kept"] * 3
    assert outcome.samples == 3
    assert not (folder / "work").exists()
    for name, row in rows.items():
        if name.startswith("clip-"):
            (followed,) = row["instances"].values()
            assert any(not instance["dropped"] and instance["seen"] > 0.9 for instance in followed)


def test_samples_hold_the_clip_its_instances_and_their_normals(dataset, clips):
    folder, _ = dataset
    samples = list(iterate_samples(folder))
    assert len(samples) == 3
    assert read_info(folder).licence == "own"
    for sample, seed in zip(samples, range(40, 43), strict=True):
        clip = sample_clip(seed, width=96, height=64, frames=5)
        np.testing.assert_array_equal(sample.video, clip.video)
        np.testing.assert_allclose(np.linalg.norm(sample.normals, axis=-1), sample.ids > 0, atol=1e-5)
        marked = [number for number, label in sample.labels.items() if label in clip.scene.names]
        assert marked
        for number in marked:
            truth = clip.ids[0] == clip.scene.names.index(sample.labels[number]) + 1
            found = sample.ids[0] == number
            assert np.count_nonzero(found & truth) > 0.8 * np.count_nonzero(found | truth)
        assert sample.caption.startswith("A video of")


def test_the_card_names_licence_counts_and_reasons(dataset):
    card = (dataset[0] / "README.md").read_text()
    for text in ("own", "6: 3 kept, 2 dropped, 1 failed", "too short", "nothing is marked", "right, up, towards"):
        assert text in card
    assert len(list((dataset[0] / "samples").glob("*.mp4"))) == 3


def test_the_same_again_gives_the_same_and_does_nothing(dataset, clips):
    folder, _ = dataset
    before = contents(folder)
    assert curate(find_sources([clips], []), SETTINGS, folder).samples == 3
    assert contents(folder) == before


def test_killed_before_the_last_step_it_is_tidied_up_by_the_next_run(dataset, clips):
    """The last step takes the results of the single sources away; the data set is whole before it."""
    folder, _ = dataset
    before = contents(folder)
    (folder / "work").mkdir()
    (folder / "work" / "000000-broken.json").write_text("{}")
    curate(find_sources([clips], []), SETTINGS, folder)
    assert contents(folder) == before


def test_another_curation_is_refused(dataset, clips):
    with pytest.raises(UserError, match="normals"):
        curate(find_sources([clips], []), replace(SETTINGS, normals="moge"), dataset[0])
    with pytest.raises(UserError, match="sources"):
        curate(find_sources([clips / "short.mkv"], []), SETTINGS, dataset[0])


def test_whatever_step_is_killed_the_next_curation_is_of_the_sources_as_they_are(clips, kills, tmp_path):
    """Killed and begun again, with the sources as they were, and with one that has become another."""
    given, folder = tmp_path / "given", tmp_path / "set"
    films = sorted(clips.glob("clip-*.mkv"))
    shutil.copytree(clips, given, ignore=lambda _, names: [n for n in names if not n.startswith(films[0].stem)])
    first = given / films[0].name
    shutil.copy(films[1], given / "other.mkv")
    sources = find_sources([given], [])

    def curated(film, where=folder):
        shutil.copy(film, first)
        curate(sources, replace(SETTINGS, shard_samples=1), where)
        return contents(where)

    with kills.every_kill(folder, tmp_path / "copies") as struck:
        undisturbed = curated(films[0])
    changed = curated(films[2], tmp_path / "changed")
    assert changed != undisturbed
    for name in ("curation.json", "work/" + sources[0].key + ".json", "shard-000000.tar", "dataset.json"):
        assert any(kill.step.endswith(name) for kill in struck), name
    sequels = ((films[0], undisturbed), (films[2], changed))
    for number, kill in enumerate(struck[:: kills.SPARSE]):
        for film, made in sequels if kills.SPARSE == 1 else [sequels[number % 2]]:
            kill.strike()
            is_finished = (folder / "dataset.json").exists()
            assert curated(film) == (undisturbed if is_finished else made), kill.step


def test_killed_and_started_again_gives_the_same_bytes(dataset, clips, processes, tmp_path):
    """Killed as soon as one more source is finished, until there is nothing left to kill."""
    folder, kills, sources = tmp_path / "set", 0, find_sources([clips], [])
    while not (folder / "dataset.json").exists():
        done = len(list(folder.glob("work/*.json")))
        process = processes.start(curate, sources, SETTINGS, folder, said=tmp_path / "said")
        while process.is_alive() and len(list(folder.glob("work/*.json"))) <= done:
            time.sleep(0.005)
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), (tmp_path / "said").read_text()
        assert kills < 20
    assert kills >= 2
    assert contents(folder) == contents(dataset[0])


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray has no package for every platform")
def test_two_workers_on_ray_give_the_same_bytes(cluster, dataset, clips, tmp_path):
    curate(find_sources([clips], []), SETTINGS, tmp_path / "set", workers=2)
    assert contents(tmp_path / "set") == contents(dataset[0])


def test_masks_are_handed_on_through_a_shot(tmp_path):
    """A mark in the middle of a longer shot is followed into the clips before and after it."""
    clip = sample_clip(44, width=96, height=64, frames=17)
    number = int(np.bincount(clip.ids[6][clip.ids[6] > 0]).argmax())
    media.write_lossless_video(tmp_path / "long.mkv", clip.video, 16)
    media.write_png(tmp_path / "m.png", (clip.ids[6] == number).astype(np.uint8) * 255)
    prompt = SourcePrompt(label="thing", frame=6, mask=str(tmp_path / "m.png"))
    curate(find_sources([tmp_path / "long.mkv"], [prompt]), SETTINGS, tmp_path / "set")
    samples = list(iterate_samples(tmp_path / "set"))
    assert len(samples) == 3
    for sample, first in zip(samples, (1, 6, 11), strict=True):
        assert sample.record["seconds"][0] == pytest.approx(first / 16, abs=1e-3)
        truth = clip.ids[first : first + 5] == number
        found = sample.ids == 1
        assert np.count_nonzero(found & truth) > 0.6 * np.count_nonzero(found | truth)


def test_several_boxes_are_cut_out_of_the_source_and_measured(tmp_path):
    """Two things on a plain wall, filmed at four times the clip's size."""
    video = np.full((5, 256, 384, 3), 200, np.uint8)
    places = {"ball": (60, 90, (200, 30, 30)), "cube": (250, 90, (30, 60, 160))}
    for x, y, color in places.values():
        for t in range(5):
            video[t, y : y + 70, x + 4 * t : x + 4 * t + 70] = color
    media.write_lossless_video(tmp_path / "two.mkv", video, 16)
    prompts = [SourcePrompt(label=n, box=(x - 5, y - 5, x + 75, y + 75)) for n, (x, y, _) in places.items()]
    curate(find_sources([tmp_path / "two.mkv"], prompts), SETTINGS, tmp_path / "set")
    (row,) = map(json.loads, (tmp_path / "set" / "manifest.jsonl").open())
    (measured,) = row["instances"].values()
    assert [instance["label"] for instance in measured] == ["ball", "cube"]
    assert min(instance["box"] for instance in measured) > 0.7
    (sample,) = iterate_samples(tmp_path / "set")
    for number, (x, y, _) in enumerate(places.values(), 1):
        truth = np.zeros((64, 96), bool)
        truth[y // 4 : (y + 70) // 4, x // 4 : (x + 70) // 4] = True
        found = sample.ids[0] == number
        assert np.count_nonzero(found & truth) > 0.8 * np.count_nonzero(found | truth)


def test_nothing_kept_is_an_error_that_names_a_reason(clips, tmp_path):
    with pytest.raises(UserError, match="too short"):
        curate(find_sources([clips / "short.mkv"], []), SETTINGS, tmp_path / "set")


def test_sources_that_cannot_be(clips, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        find_sources([tmp_path / "nowhere"], [])
    with pytest.raises(UserError, match="no video"):
        find_sources([tmp_path], [])
    with pytest.raises(UserError, match="for 6 videos"):
        find_sources([clips], [SourcePrompt(label="a", box=(0, 0, 1, 1))])
    with pytest.raises(UserError, match="licence"):
        replace(SETTINGS, licence=" ")
