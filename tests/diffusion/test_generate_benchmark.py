"""The benchmark that waits for a GPU runs here on a tiny model, every case of it by the code that times it."""

import json

import pytest


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("generate")


def test_every_case_runs(benchmark):
    known = {}
    for case in benchmark.CASES:
        told = known[case.name] = {}
        benchmark.measure(case, 2, tiny=True, tell=told.update)
        if case.preset == "autoencoder":
            assert told["seconds_to_decode_channels_last"] > 0
            assert told["difference_of_layouts"] < 0.02
            continue
        assert told["seconds_of_last_step"] > 0
        assert "training" in case.name or told["seconds_per_pass"] > 0
    assert {case.plan for case in benchmark.CASES} == {plan.name for plan in benchmark.PLANS} - {"cpu"}
    presets = ("resident", "resident-quality", "resident-official", "resident-balanced")
    assert [known[name]["passes"] for name in presets] == [4, 50, 100, 24]


def test_a_case_that_fails_or_hangs_costs_the_others_nothing(benchmark, monkeypatch, tmp_path):
    def measure(case, steps, *, tiny, tell):
        tell({"begun": True})
        if case.plan == "fp8":
            raise ValueError("no such kernel")
        if case.plan == "int8":
            raise SystemExit(3)
        while case.plan == "stream":
            pass

    monkeypatch.setattr(benchmark, "measure", measure)
    monkeypatch.setattr(benchmark, "LEAST", 0)
    cases = [benchmark.Case(plan=plan, limit=limit) for plan, limit in (("fp8", 60), ("int8", 60), ("stream", 3))]
    never = benchmark.Case(plan="nf4", limit=-1)
    benchmark.run_times(tmp_path / "t.json", [*cases, never, benchmark.Case(plan="gguf")], 2, tiny=True, seconds=600)
    rows = json.loads((tmp_path / "t.json").read_text())["cases"]
    assert [row.get("failed") for row in rows] == [
        "ValueError: no such kernel",
        "its process ended with 3",
        "cut off after 3 s",
        "not begun: the time was up",
        None,
    ]
    assert all(row["begun"] for row in rows if row["plan"] != "nf4")


@pytest.mark.parametrize("plan", ["resident"])  # what rounding allocates depends on what ran before in the process
def test_loading_holds_what_is_stored_and_one_block(benchmark, tmp_path, plan):
    config = {"num_attention_heads": 4, "ffn_dim": 2048, "text_dim": 64, "image_dim": 64, "added_kv_proj_dim": 512}
    found = benchmark.loading_memory(benchmark.find_plan(plan), tmp_path, 12, config)
    held_twice = found.plain + found.reckoned  # the adapters merged first, and then the weights rounded
    assert 0.4 * found.reckoned < found.most < found.reckoned + 24 < 0.8 * held_twice
