"""What the program wrote itself and reads again: records in JSON, scene folders, data sets; and files of settings."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.fuzz import mutators
from tests.fuzz.registry import kind

SHOT = """\
frames: 5
fps: 12.5
prompt: a cube goes
seed: 3
camera:
  - orbit: 20deg
    around: cube
    easing: ease-out
  - dolly in 1 unit
entities:
  cube: [right 1, turn left 30deg]
"""
TRAINING = """\
dataset: [clips, more]
base: mini-base
rank: 8
alpha: 4.0
learning_rate: 1.0e-3
bf16: false
ranges:
  bend: [0.0, 0.1]
  flutter: 0.05
"""


def _write_json(path: Path, values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def _scene():
    from real2sam2real.geometry import Intrinsics
    from real2sam2real.mesh import Mesh
    from real2sam2real.scene import CameraPath, Entity, Motion, Scene

    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float64)
    mesh = Mesh(vertices=corners, faces=np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
    pose = np.eye(4)
    pose[:3, 3] = (0, 0, -4)
    mask = np.zeros((36, 64), bool)
    mask[9:20, 20:40] = True
    cube = Entity(name="cube", mesh=mesh, rest_world_from_object=pose, motion=Motion.still(1, pose), mask=mask)
    camera = CameraPath.still(1, Intrinsics.from_fov(64, 36, horizontal_degrees=60))
    return Scene(entities=(cube,), camera=camera, photo=np.zeros((36, 64, 3), np.uint8), fps=12.5, prompt="a cube")


def _go_on_with_run(path: Path) -> None:
    from real2sam2real.run.folder import Stage, open_run
    from real2sam2real.run.progress import Progress

    def work(folder: Path) -> list[str]:
        (folder / "out.txt").write_text("made")
        return ["a note"]

    stage = Stage(name="lift", title="lifting", code=(), settings=1, inputs=(), outputs=("out.txt",), work=work)
    with open_run(path.parent, command=["run"], config={}, progress=Progress()) as run:
        run.do(stage)
        run.save()


@kind("run.json", _go_on_with_run, *mutators.JSON)
def run_record(folder: Path) -> Path:
    _go_on_with_run(folder / "run.json")
    return folder / "run.json"


def _read_export(path: Path) -> None:
    from real2sam2real.lab.evaluate.case_set import CaseRecord, CaseSet
    from real2sam2real.lab.evaluate.peers.record import answers

    case = CaseRecord(
        name="camera-0001", kind="camera", seed=0, source="room 7", shot="camera: [static]", moved=(), frames=3,
        width=64, height=36,
    )  # fmt: skip
    (found,) = answers(CaseSet(folder=path.parent, kind="camera", cases=(case,)), path.parent)
    if found.clip is not None:
        found.clip.measured()


@kind("export.json", _read_export, *mutators.JSON)
def export_record(folder: Path) -> Path:
    from real2sam2real.lab.evaluate.peers.record import ExportedCase, ExportRecord, PeerClip, SkippedCase, write_export

    clip = PeerClip(times=(0.0, 0.5, 1.0, 1.5, 2.0), window=(0.1, 0.0, 0.9, 1.0))
    case = ExportedCase(name="camera-0001", shot="camera: [static]", video="camera-0001/result.mp4", clip=clip)
    skipped = SkippedCase(name="camera-0002", reason="its lens zooms")
    write_export(folder, ExportRecord(peer="das", cases=(case,), skipped=(skipped,)))
    (folder / "videos" / "camera-0001").mkdir(parents=True)
    (folder / "videos" / "camera-0001" / "result.mp4").touch()
    return folder / "export.json"


def _read_scene(path: Path) -> None:
    from real2sam2real.scene.folder import read_scene, save_scene

    save_scene(read_scene(path.parent)[0], path.parent)


@kind("scene.json", _read_scene, *mutators.JSON)
def scene_folder(folder: Path) -> Path:
    from real2sam2real.scene.folder import save_scene

    save_scene(_scene(), folder)
    return folder / "scene.json"


def _direct(path: Path) -> None:
    from real2sam2real.scene.shot import load_shot

    shot = load_shot(path)
    shot.apply(_scene())
    shot.to_yaml()


@kind("shot YAML", _direct, *mutators.YAML)
def shot_file(folder: Path) -> Path:
    (folder / "shot.yaml").write_text(SHOT)
    return folder / "shot.yaml"


def _read_control(path: Path) -> None:
    from real2sam2real.control.reading import read_control

    read_control(path.parent)


@kind("control.json", _read_control, *mutators.JSON)
def control_folder(folder: Path) -> Sequence[Path]:
    from real2sam2real.control import write_control
    from real2sam2real.rendering import render_frames

    frames = render_frames(_scene(), width=64, height=36)
    photo = np.zeros((36, 64, 3), np.uint8)
    write_control(folder, frames, photo=photo, prompt="a cube", fps=12.5, names=["cube"])
    return sorted(folder.glob("*.json"))


def _read_view(path: Path) -> None:
    from real2sam2real.perceive.view import load_view, save_view

    save_view(path.parent, load_view(path.parent))


@kind("view of a photo", _read_view, *mutators.JSON)
def view(folder: Path) -> Path:
    from real2sam2real.geometry import Intrinsics
    from real2sam2real.perceive.view import PhotoView, save_view

    lens = Intrinsics.from_fov(8, 6, horizontal_degrees=60)
    save_view(folder, PhotoView(intrinsics=lens, up_camera=np.array([0.0, 1, 0]), points_camera=np.ones((6, 8, 3))))
    return next(folder.glob("*.json"))


def _read_settings(path: Path) -> None:
    from real2sam2real.diffusion.checkpoints import load_settings

    load_settings(path.parent).fit(64, 36)


@kind("checkpoint.json", _read_settings, *mutators.JSON)
def checkpoint(folder: Path) -> Path:
    from real2sam2real.diffusion.checkpoints import CheckpointSettings

    path = folder / "checkpoint.json"
    path.write_text(CheckpointSettings(area=64 * 36, max_frames=81).to_json())
    return path


def _go_on_with_batch(path: Path) -> None:
    from real2sam2real.run.batch.finding import BatchShot
    from real2sam2real.run.batch.making import BATCH, latest_run
    from real2sam2real.run.batch.records import is_finished, read_shot_record, write_shot_record

    root = path.parent if path.name == BATCH else path.parents[1]
    latest_run(root)
    record = read_shot_record(root / "shot")
    is_finished(record, BatchShot(name="shot", control=root / "control", missing=()), "ab", root / "shot")
    if record:
        write_shot_record(root / "shot", record)


@kind("batch records", _go_on_with_batch, *mutators.JSON)
def batch(folder: Path) -> Sequence[Path]:
    from real2sam2real.run.batch.making import BATCH
    from real2sam2real.run.batch.records import RECORD, VIDEO, ShotRecord, write_shot_record
    from real2sam2real.workfolder.fingerprint import Stamp

    for name in ("control/photo.png", f"shot/{VIDEO}"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(b"made")
    inputs, video = {"photo.png": Stamp.of(folder / "control/photo.png")}, Stamp.of(folder / "shot" / VIDEO)
    record = ShotRecord(shot="shot", status="done", control="control", settings="ab", inputs=inputs, video=video)
    write_shot_record(folder / "shot", record)
    return [_write_json(folder / BATCH, {"format": 1, "run": "1234"}), folder / "shot" / RECORD]


def _read_training(path: Path) -> None:
    from real2sam2real.lab.train.adapter.config import read_config

    read_config(path)


@kind("training YAML", _read_training, *mutators.YAML)
def training(folder: Path) -> Path:
    (folder / "train.yaml").write_text(TRAINING)
    return folder / "train.yaml"


def _go_on_with_training(path: Path) -> None:
    from real2sam2real.workfolder.records import keep_settings, trim_lines

    keep_settings(path.parent / "config.json", {"rank": 8, "ranges": {"bend": 1}, "stages": [1, 2]}, what="run")
    trim_lines(path.parent / "losses.jsonl", 1)


@kind("records of a training", _go_on_with_training, *mutators.JSON)
def training_records(folder: Path) -> Sequence[Path]:
    from real2sam2real.workfolder.records import write_lines

    write_lines(folder / "losses.jsonl", [{"step": step, "stage": "64×36", "loss": 0.5} for step in range(4)])
    config = _write_json(folder / "config.json", {"rank": 8, "ranges": {"bend": 1}, "stages": [1, 2]})
    return [config, folder / "losses.jsonl"]


def _read_marks(path: Path) -> None:
    from real2sam2real.lab.curate.pipeline.settings import find_sources

    find_sources([path.with_name("clip.mp4")], [])


@kind("marks", _read_marks, *mutators.JSON)
def marks(folder: Path) -> Path:
    (folder / "clip.mp4").write_bytes(b"")
    child = {"label": "child", "frame": 0, "box": [8, 2, 20, 30]}
    values = {"instances": [child, {"label": "dog", "mask": "dog.png"}], "caption": "A child and a dog."}
    return _write_json(folder / "clip.instances.json", values)


def _dataset(folder: Path, shard: str = "shards/shard-000000.tar") -> Path:
    from real2sam2real.lab.curate.dataset import DatasetInfo, Sample, shard_writer, write_info

    told = dict.fromkeys(("normals_by", "masks_by", "captions_by", "licence"), "x")
    info = DatasetInfo(width=16, height=16, frames=5, fps=12.0, **told)
    ids = np.zeros((5, 16, 16), np.uint8)
    ids[:, 4:12, 4:12] = 1
    normals = np.zeros((5, 16, 16, 3), np.float32)
    normals[ids > 0, 2] = 1
    video = np.zeros((5, 16, 16, 3), np.uint8)
    (folder / shard).parent.mkdir(parents=True, exist_ok=True)
    with shard_writer(folder / shard, info) as writer:
        for key in ("000000-clip-0", "000000-clip-1"):
            record = {"source": "clip.mp4", "seconds": [0, 1]}
            writer.add(
                Sample(key=key, video=video, normals=normals, ids=ids, caption="c", labels={1: "cube"}, record=record)
            )
    write_info(folder, info)
    return folder / shard


def _read_dataset(path: Path) -> None:
    from real2sam2real.lab.curate.dataset import iterate_samples

    folder = path.parent if path.name == "dataset.json" else path.parents[1]
    for sample in iterate_samples(folder):
        assert sample.caption is not None


@kind("shards", _read_dataset, mutators.tar_members(mutators.JSON[:4] + mutators.BYTES), *mutators.BYTES)
def shards(folder: Path) -> Path:
    return _dataset(folder)


@kind("dataset.json", _read_dataset, *mutators.JSON)
def dataset_info(folder: Path) -> Path:
    _dataset(folder)
    return folder / "dataset.json"


def _go_on_with_curation(path: Path) -> None:
    from real2sam2real.lab.curate.clip_format import ClipFormat
    from real2sam2real.lab.curate.pipeline.run import curate
    from real2sam2real.lab.curate.pipeline.settings import CurationSettings, SourceVideo

    folder = path.parent if path.parent.name != "work" else path.parents[1]
    settings = CurationSettings(clip_format=ClipFormat(width=16, height=16, frames=5, fps=12.0), licence="x")
    curate([SourceVideo(key="000000-clip", path="clip.mp4")], settings, folder)


@kind("curation records", _go_on_with_curation, *mutators.JSON)
def curation(folder: Path) -> Sequence[Path]:
    work = folder / "work"
    _dataset(folder, "work/000000-clip.tar")
    (folder / "dataset.json").unlink()
    samples = ["000000-clip-0", "000000-clip-1"]
    row = {"path": "clip.mp4", "status": "kept", "reasons": ["shot 1: static: 0.1 %"], "samples": samples}
    return [_write_json(work / "000000-clip.json", row), _write_json(work / "000000-clip.seconds", {"cut": 0.5})]


@kind("manifest of a data set", _go_on_with_curation, *mutators.JSON)
def manifest(folder: Path) -> Path:
    from real2sam2real.workfolder.records import write_lines

    _dataset(folder)
    row = {"path": "clip.mp4", "status": "kept", "reasons": [], "samples": ["000000-clip-0"]}
    write_lines(folder / "manifest.jsonl", [row])
    return folder / "manifest.jsonl"


def _open_workspace(path: Path) -> None:
    from real2sam2real.studio.messages import document_data
    from real2sam2real.studio.workspaces import Workspaces

    folder = next(place for place in path.parents if place.name == "workspace")
    workspaces = Workspaces(folder.parent)
    try:
        document_data(workspaces.get(workspaces.add(folder)))
    finally:
        workspaces.close()


@kind("workspace", _open_workspace, *mutators.JSON)
def workspace(folder: Path) -> Sequence[Path]:
    from real2sam2real.scene.folder import save_scene
    from real2sam2real.scene.shot import Shot
    from real2sam2real.studio.document import StudioDocument
    from real2sam2real.studio.history import History
    from real2sam2real.studio.workspace import create_workspace

    save_scene(_scene(), folder / "scene")
    place = folder / "workspace"
    create_workspace(folder / "scene", place)
    document = StudioDocument(place, History.open(place / "history"))
    document.commit("Pan", shot=Shot.from_flags(frames=5, camera=["pan 3"]))
    states = sorted((place / "history" / "states").iterdir())
    return [place / "workspace.json", place / "history" / "now.json", *states]


def _read_takes(path: Path) -> None:
    """The shelf as the page is told of it: what cannot be read is left out, and never told half."""
    from real2sam2real.studio.takes import find_take, read_take_shot, read_takes

    folder = path.parents[2]
    json.dumps([take.message() for take in read_takes(folder)], allow_nan=False)
    take = find_take(folder, "0123456789ab")
    if take is not None:
        read_take_shot(folder, take)


@kind("take", _read_takes, *mutators.JSON)
def take(folder: Path) -> Path:
    from real2sam2real.studio.takes import RECORD, SHOT, TAKES, VIDEO, Take

    place = folder / TAKES / "0123456789ab"
    place.mkdir(parents=True)
    (place / VIDEO).write_bytes(b"video")
    (place / SHOT).write_text("camera: [pan: 3]\n")
    told = Take(
        id=place.name, name="Take 1", made="2026-01-02T03:04:05.678+00:00", seconds=3.5, checkpoint="mini", seed=1,
        frames=5, fps=16.0, width=64, height=48, scene="00", notes=["made"], options={"generate": {"steps": 4}},
        work=1e9, digest="00",
    )  # fmt: skip
    (place / RECORD).write_text(json.dumps(asdict(told)))
    return place / RECORD


def _read_made(path: Path) -> None:
    from real2sam2real.studio.making import read_made

    json.dumps(asdict(read_made(path.parent)), allow_nan=False)


@kind("made", _read_made, *mutators.JSON)
def made(folder: Path) -> Sequence[Path]:
    from real2sam2real.studio.making import MADE, RUN, Made

    stages = {"preview": {"fingerprint": "aa"}, "generate": {"fingerprint": "bb"}}
    (folder / RUN).mkdir()
    (folder / RUN / "run.json").write_text(json.dumps({"stages": stages}))
    told = Made(preview="00", generated="00", fingerprints={"preview": "aa", "generate": "bb"})
    (folder / MADE).write_text(json.dumps(asdict(told)))
    return [folder / MADE]


def _edit_shot(path: Path) -> None:
    """What the page sends, read as the server does."""
    from real2sam2real.errors import UserError
    from real2sam2real.files import refuse_pipe
    from real2sam2real.scene.shot import parse_shot, shot_from_data
    from real2sam2real.workfolder.json_values import parse_json

    refuse_pipe(path)  # a request's body is none
    try:
        data = parse_json(path.read_bytes(), finite=True)
    except ValueError as error:
        raise UserError(str(error)) from error
    shot = shot_from_data(data)
    shot.apply(_scene())
    assert parse_shot(shot.to_yaml()) == shot


@kind("shot of the page", _edit_shot, *mutators.JSON)
def page_shot(folder: Path) -> Path:
    from real2sam2real.scene.shot import parse_shot

    return _write_json(folder / "shot.json", parse_shot(SHOT).to_data())


def _put_into_a_table(path: Path) -> None:
    from real2sam2real.lab.evaluate.score_folders import joined_scores
    from real2sam2real.lab.evaluate.score_page import write_page
    from real2sam2real.lab.evaluate.score_report import report

    (scores,) = joined_scores([path.parent], path.parent)
    write_page(path.parent / "index.html", "Scores", [(report(scores), scores)])


@kind("scores of videos", _put_into_a_table, *mutators.JSON)
def scores(folder: Path) -> Path:
    from dataclasses import asdict

    from real2sam2real.lab.evaluate.camera_scores import CameraRow
    from real2sam2real.lab.evaluate.measuring import ROWS
    from real2sam2real.workfolder.records import write_lines

    path = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.5))
    row = CameraRow(
        method="ours",
        case="camera-0001",
        status="measured",
        problem="",
        measures={"ate_share": 0.1},
        standing={"ate_share": 0.5},
        video="../videos/camera-0001.mp4",
        seconds=1.0,
        points=100,
        registered=1.0,
        turns_only=False,
        path=(None, path[1]),
        commanded=path,
    )
    write_lines(folder / ROWS, [asdict(row)])
    return folder / ROWS
