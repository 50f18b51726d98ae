import importlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from unittest.mock import Mock, call

import psutil
import pytest

from real2sam2real.diffusion import parallel, ranks
from real2sam2real.diffusion.parallel import Split, choose_split
from real2sam2real.errors import UserError
from real2sam2real.run.progress import pass_on

WORKERS = Path(__file__).parent / "rank_workers.py"


@pytest.fixture(scope="module")
def workers(processes):
    """The module `rank_workers`, importable here and, by the same search path, in the ranks.

    The ranks of these tests come ready from the tests' server; those of `test_stopping_the_program_stops_all_ranks` are
    started as users' are.
    """
    processes.preload()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "START_METHOD", "forkserver")
        patch.syspath_prepend(str(WORKERS.parent))
        yield importlib.import_module(WORKERS.stem)


@pytest.fixture(scope="module")
def found(workers, tiny_autoencoder, tmp_path_factory):
    """Everything that two ranks find out, in one start."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
    from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

    folder = tmp_path_factory.mktemp("pipeline")
    config = {**workers.TINY, "image_dim": None, "added_kv_proj_dim": None}
    Real2Sam2RealPipeline(
        vae=tiny_autoencoder,
        transformer=Real2Sam2RealTransformer3DModel(**config),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)
    listener = Mock()
    results = ranks.run_on_ranks(2, workers.everything, (folder,), device="cpu", hear=partial(pass_on, listener))
    return results | {"heard": listener.method_calls}


@pytest.mark.parametrize(
    ("case", "split", "share"),
    [
        ("even", "ulysses even", 18),
        ("any number of tokens", "ulysses any", 14),
        ("any number of heads", "ulysses any", 18),
        ("chunks", "ulysses any", 18),
        ("constants", "ulysses even", 18),
        ("ring", "ring even", 18),
        ("ring, any number of tokens", "ring any", 14),
    ],
)
def test_two_ranks_give_what_one_gives(found, case, split, share):
    difference, used, tokens = found["passes"][case]
    assert difference <= 1e-5
    assert used == split
    assert tokens[0] == share


@pytest.mark.parametrize("first", ["cache", "ranks"])
@pytest.mark.parametrize("cache", ["taylor", "first block"])
def test_step_caches_work_over_ranks_in_any_order(found, cache, first):
    difference, alone, together = found["caches"][cache, first]
    assert difference <= 1e-5
    assert together == alone
    assert 0 < sum(alone) < len(alone)


def test_ranks_decide_together_where_their_own_tokens_disagree(found):
    (first_own, first), (second_own, second) = (decisions[0] for decisions in found["decisions"])
    assert first_own != second_own
    assert first == second


def test_a_whole_video_is_the_same(found):
    assert max(found["pipeline"]) <= 1e-4


def test_noise_comes_from_the_main_rank(found):
    assert found["noise"] == 0


def test_only_rank_0_is_heard(found):
    said, noted, *advanced = found["heard"]
    assert (said, noted) == (call.said("rank 0 works"), call.noted(["short of memory"]))
    assert [each.args[:3] for each in advanced] == [("steps", 1, 2), ("steps", 2, 2)]
    first, second = found["streams"]
    assert os.devnull not in first
    assert second == (os.devnull, os.devnull)


@pytest.mark.parametrize(
    ("how", "message"), [("error", "the photo is missing"), ("kill", r"rank 1 died \(signal SIGKILL\).*memory")]
)
def test_a_rank_that_fails_stops_the_others(workers, how, message):
    with pytest.raises(UserError, match=message) as caught:
        ranks.run_on_ranks(2, workers.fail, (how,), device="cpu")
    if how == "error":
        assert str(caught.value) == message
        assert "on rank 1" in caught.value.__notes__[0]
        assert "in fail" in caught.value.__notes__[0]


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError


@pytest.mark.parametrize("how", ["Ctrl-C", "kill -9"])
def test_stopping_the_program_stops_all_ranks(tmp_path, how):
    program = subprocess.Popen(
        [sys.executable, WORKERS, "wait", tmp_path], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    told = [tmp_path / "0", tmp_path / "1"]
    wait_until(lambda: all(path.exists() for path in told))
    pids = [int(path.read_text()) for path in told]
    assert all(alive(pid) for pid in pids)
    if how == "Ctrl-C":
        os.killpg(program.pid, signal.SIGINT)  # as a terminal does: to the program and its ranks
    else:
        program.kill()
    errors = program.communicate()[1]
    wait_until(lambda: not any(alive(pid) for pid in pids))
    if how == "Ctrl-C":
        assert errors.count("KeyboardInterrupt") == 1
        assert all(path.with_suffix(".clean").exists() for path in told)


def test_ranks_of_torchrun_are_joined():
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", WORKERS, "joined"],
        capture_output=True,
        text=True,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sum 3 of 2\n"


def test_one_rank_is_this_process():
    assert ranks.run_on_ranks(1, os.getpid, device="cpu") == os.getpid()
    assert ranks.is_main_rank()


def test_more_ranks_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(UserError, match="4 GPUs were asked for, but torch finds 2 GPUs on this machine; use --gpus 2"):
        ranks.run_on_ranks(4, os.getpid)


def test_no_gpus_and_too_few_ranks_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(UserError, match="no GPU"):
        ranks.check_devices(1)
    with pytest.raises(UserError, match="at least 1"):
        ranks.check_devices(0)


def test_a_torch_that_cannot_connect_processes_is_refused(monkeypatch):
    monkeypatch.setattr("torch.distributed.is_available", lambda: False)
    with pytest.raises(UserError, match="pip install torch"):
        ranks.check_devices(2, "cpu")


def test_joining_without_a_launcher_is_refused(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(UserError, match="torchrun --nproc-per-node 2"):
        ranks.start_parallel(2, "cpu")


def test_sharing_tokens_alone_is_refused(make_transformer):
    with pytest.raises(UserError, match="--gpus"):
        parallel.enable_context_parallel(make_transformer())


@pytest.mark.parametrize(
    ("heads", "world", "kind", "kernel", "tokens", "expected"),
    [
        (40, 4, "auto", "native", 79200, Split(kind="ulysses", even=True)),
        (40, 8, "auto", "native", None, Split(kind="ulysses", even=False)),
        (40, 8, "auto", "native", 79201, Split(kind="ulysses", even=False)),
        (40, 3, "auto", "native", 79200, Split(kind="ulysses", even=False)),
        (4, 3, "auto", "_native_flash", None, Split(kind="ring", even=False)),
        (40, 4, "ring", "flash", 79200, Split(kind="ring", even=True)),
    ],
)
def test_the_split_is_chosen_by_heads_kernel_and_tokens(heads, world, kind, kernel, tokens, expected):
    assert choose_split(heads=heads, ranks=world, kind=kind, kernel=kernel, tokens=tokens) == expected


def test_splits_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="_native_flash"):
        choose_split(heads=40, ranks=4, kind="ring", kernel="native")
    with pytest.raises(UserError, match="2 attention heads cannot be shared by 4"):
        choose_split(heads=2, ranks=4, kind="ulysses", kernel="native")
