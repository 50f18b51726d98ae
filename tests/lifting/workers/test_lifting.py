"""Requests to stand-in environments, answered by a real process of the worker."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from real2sam2real.errors import UserError
from real2sam2real.geometry import transforms
from real2sam2real.lifting.workers.catalogue import LIFTERS
from real2sam2real.lifting.workers.environment import LifterEnvironment
from real2sam2real.lifting.workers.lifter import lift_objects

STANDIN = Path(__file__).parent / "standin"


def camera_error(standin, lifted) -> float:
    """Largest distance of a vertex from where it truly is, in our camera frame."""
    found = transforms.apply(lifted.camera_from_object, lifted.mesh.vertices)
    return float(np.abs(found - standin.camera_vertices[lifted.name]).max())


def test_sam3d_brings_every_object_back_where_it_is_with_one_load(sam3d) -> None:
    outcome = sam3d.lift(seed=5)
    assert not outcome.failures
    assert [lifted.name for lifted in outcome.meshes] == list(sam3d.request.masks)
    assert sam3d.loads() == 1
    assert [call["seed"] for call in sam3d.calls() if "area" in call] == [5, 5, 5]
    for lifted in outcome.meshes:
        assert camera_error(sam3d, lifted) < 1e-5
        assert lifted.intrinsics == sam3d.request.view.intrinsics
        assert lifted.mesh.vertex_colors is not None
        assert lifted.mesh.volume() > 0
        assert lifted.provenance["lifter"] == "sam3d"
        assert "python" in lifted.provenance["versions"]
        json.dumps(lifted.provenance)
    assert any("dög: 100%" in line for line in sam3d.said)  # the last state of a progress bar
    assert not any("4%" in line for line in sam3d.said)
    assert "Loading model weights..." in (sam3d.request.folder / "worker.log").read_text()
    assert json.loads((sam3d.request.folder / "status.json").read_text())["state"] == "done"


def test_the_pointmap_arrives_in_sam3ds_frame(sam3d) -> None:
    sam3d.lift()
    view = sam3d.request.view
    received = np.load(sam3d.folder / "pointmap_received.npy")
    assert received.dtype == np.float32
    assert received.shape == view.points_camera.shape
    known = np.isfinite(view.points_camera).all(axis=-1)
    assert np.isnan(received[~known]).all()
    # Pixels right of the middle have negative x (+X is left), those below it negative y, and all are ahead.
    rows, columns = np.nonzero(known)
    k, z = view.intrinsics, received[known][:, 2]
    assert (z > 0).all()
    assert received[known][:, 0] == pytest.approx(-(columns + 0.5 - k.cx) / k.fx * z, abs=1e-5)
    assert received[known][:, 1] == pytest.approx(-(rows + 0.5 - k.cy) / k.fy * z, abs=1e-5)
    assert np.array_equal(received[known], view.points_camera[known] * np.float32([-1, 1, -1]))


def test_sam3d_without_our_depth_says_no_focal_length(sam3d) -> None:
    view = type(sam3d.request.view)(intrinsics=sam3d.request.view.intrinsics)
    sam3d.request = type(sam3d.request)(**{**vars(sam3d.request), "view": view})
    lifted = sam3d.lift().meshes[0]
    assert lifted.camera_from_object is not None
    assert lifted.intrinsics is None
    assert "focal length" in " ".join(lifted.notes)
    assert all(call["pointmap"] is None for call in sam3d.calls() if "area" in call)


def test_body_brings_people_back_where_they_are(standin_for) -> None:
    body = standin_for("sam3d-body")
    body.tell(dög="nobody")
    outcome = body.lift()
    assert [failure.name for failure in outcome.failures] == ["dög"]
    assert "people alone" in outcome.failures[0].reason
    for lifted in outcome.meshes:
        assert camera_error(body, lifted) < 1e-5
        assert lifted.intrinsics == body.request.view.intrinsics
        assert not lifted.notes
    call = next(call for call in body.calls() if "area" in call)
    k = body.request.view.intrinsics
    assert call["box"] == [5, 20, 20, 30]
    assert call["use_mask"]
    assert np.float32(call["camera"]) == pytest.approx(np.float32([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]]))
    assert body.loads() == 1


@pytest.mark.parametrize(
    ("device", "visible", "seen", "told"),
    [
        ("cuda:1", None, "1", "cuda"),
        ("cuda:1", "4, 7", "7", "cuda"),
        ("cpu", None, "", "cpu"),
        ("auto", "3", "3", "cuda"),
        ("auto", None, None, "cuda"),
    ],
)
def test_a_card_is_chosen_by_hiding_the_others(standin_for, device, visible, seen, told) -> None:
    body = standin_for("sam3d-body")
    body.monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        body.monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    body.lift(device=device)
    (load,) = [call for call in body.calls() if "load" in call]
    assert (load["cards"], load["device"]) == (seen, told)


def test_a_card_that_is_not_there(standin_for) -> None:
    body = standin_for("sam3d-body")
    body.monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    with pytest.raises(UserError, match="there is no cuda:2: CUDA_VISIBLE_DEVICES is '4,7'"):
        body.lift(device="cuda:2")


def test_sam3d_compiles_with_the_toolkit_that_is_there(sam3d, tmp_path: Path) -> None:
    toolkit = tmp_path / "cuda-12.1"
    (toolkit / "bin").mkdir(parents=True)
    (toolkit / "bin" / "nvcc").touch()
    sam3d.monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "of another environment"))
    sam3d.monkeypatch.setenv("CUDA_HOME", str(toolkit))
    sam3d.lift()
    assert next(call["cuda_home"] for call in sam3d.calls() if "load" in call) == str(toolkit)


def test_body_that_used_another_focal_length_says_so(standin_for) -> None:
    body = standin_for("sam3d-body")
    body.tell(focal=500.0)
    lifted = body.lift().meshes[0]
    assert lifted.intrinsics.fx == lifted.intrinsics.fy == 500.0
    assert "500.0 pixels" in lifted.notes[0]


@pytest.mark.parametrize("lifter", ["triposg", "step1x3d"])
def test_shape_alone_comes_without_a_pose(standin_for, lifter: str) -> None:
    standin = standin_for(lifter)
    outcome = standin.lift(seed=9)
    assert not outcome.failures
    assert standin.loads() == 1
    assert standin.lifted() == list(standin.request.masks)
    for lifted in outcome.meshes:
        assert lifted.camera_from_object is None
        assert lifted.intrinsics is None
        assert lifted.mesh.vertices == pytest.approx(standin.camera_vertices[lifted.name], abs=1e-6)
    assert [call["seed"] for call in standin.calls() if "area" in call] == [9, 9, 9]


def test_a_mesh_that_comes_inside_out_is_turned(standin_for) -> None:
    triposg = standin_for("triposg")
    path = triposg.folder / f"{triposg.area('car')}.npz"
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "faces": arrays["faces"][:, ::-1]})
    assert all(lifted.mesh.volume() > 0 for lifted in triposg.lift().meshes)


def test_triposg_sees_the_object_on_white_with_a_margin(standin_for) -> None:
    triposg = standin_for("triposg")
    triposg.lift()
    picture = np.asarray(Image.open(triposg.folder / "picture.png"))  # of the last object, 6×5 pixels
    mask = triposg.request.masks["dög"]
    assert picture.shape == (8, 8, 3)
    assert np.array_equal(picture[1:7, 1:6].reshape(-1, 3), triposg.request.pixels[mask])
    assert (picture[[0, 7]] == 255).all()


def test_the_real_torch_carries_the_arrays(standin_for) -> None:
    sam3d = standin_for("sam3d", torch="real")
    shutil.copytree(STANDIN / "light" / "kaolin", sam3d.clone / "kaolin")
    outcome = sam3d.lift(device="cpu")
    assert max(camera_error(sam3d, lifted) for lifted in outcome.meshes) < 1e-5
    assert next(call["pointmap"] for call in sam3d.calls() if "area" in call) == ["torch.float32", 48, 64, 3]


def test_what_is_finished_is_not_made_again(sam3d) -> None:
    sam3d.lift()
    again = sam3d.lift()
    assert len(again.meshes) == 3
    assert sam3d.loads() == 1
    sam3d.lift(host=None, timeout=99.0)  # says nothing about the result
    assert sam3d.loads() == 1


def test_only_what_changed_is_made_again(sam3d) -> None:
    sam3d.lift()
    masks = {name: mask.copy() for name, mask in sam3d.request.masks.items()}
    masks["dög"][41, 40:43] = True
    np.savez(sam3d.folder / f"{masks['dög'].sum()}.npz", **np.load(sam3d.folder / f"{sam3d.area('dög')}.npz"))
    sam3d.request = type(sam3d.request)(**{**vars(sam3d.request), "masks": masks})
    (sam3d.folder / "calls.jsonl").unlink()
    assert len(sam3d.lift().meshes) == 3
    assert sam3d.lifted() == ["dög"]
    assert len(sam3d.lift(seed=1).meshes) == 3
    assert len(sam3d.lifted()) == 4


def test_an_entity_that_cannot_be_lifted_is_named_and_the_others_go_on(sam3d) -> None:
    sam3d.tell(car="raise", old_bench="nan", dög="no mesh")
    outcome = sam3d.lift()
    assert not outcome.meshes
    reasons = {failure.name: (failure.kind, failure.reason) for failure in outcome.failures}
    assert reasons["car"] == ("failed", "ValueError: list index out of range")
    assert reasons["old bench"][0] == reasons["dög"][0] == "cannot-lift"
    assert "scale is not finite" in reasons["old bench"][1]
    sam3d.tell(car=None, old_bench=None, dög=None)
    assert len(sam3d.lift().meshes) == 3  # tried again, with one more load
    assert sam3d.loads() == 2


def test_what_does_not_fit_the_card_is_named_and_the_others_go_on(sam3d) -> None:
    sam3d.tell(old_bench="memory")
    outcome = sam3d.lift()
    assert [lifted.name for lifted in outcome.meshes] == ["car", "dög"]
    assert outcome.failures[0].kind == "memory"
    for part in ("Tried to allocate 3.15 GiB", "1.0 of 48.0 GiB are free", "32 GB", "triposg"):
        assert part in outcome.failures[0].reason


def test_names_and_requests_are_checked(sam3d, request_of_three) -> None:
    assert tuple(LIFTERS) == ("sam3d", "sam3d-body", "triposg", "step1x3d")
    with pytest.raises(UserError, match="choose one of sam3d, sam3d-body"):
        lift_objects("trellis", LifterEnvironment(), request_of_three, print)
    empty = {"car": np.zeros_like(request_of_three.masks["car"])}
    with pytest.raises(UserError, match="empty"):
        type(request_of_three)(**{**vars(request_of_three), "masks": empty})
    with pytest.raises(UserError, match="pixels"):
        type(request_of_three)(**{**vars(request_of_three), "pixels": request_of_three.pixels[:-1]})
    for host in ("-oProxyCommand=evil", "a b", "x;y", ""):
        with pytest.raises(UserError, match="is no host"):
            LifterEnvironment(host=host)
    for changes in ({"timeout": 0.0}, {"seed": -1}):
        with pytest.raises(UserError):
            LifterEnvironment(**changes)


def test_an_environment_may_be_named_by_its_folder(sam3d, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (environment / "bin" / "python").chmod(0o755)
    assert len(sam3d.lift(python=str(environment)).meshes) == 3
