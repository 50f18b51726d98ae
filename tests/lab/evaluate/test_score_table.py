"""Tables: intervals, differences, and what stands out only where it is no chance."""

from __future__ import annotations

import numpy as np

from real2sam2real.lab.evaluate.score_table import Measure, Table, best_of, interval, means_table, paired_table

LOW = Measure(name="m", title="M", digits=2)


def test_intervals_and_differences() -> None:
    rows = {"a": {"m": [1.0, 2.0, 3.0]}, "b": {"m": [2.0, 3.0, None]}}
    assert interval([1.0, 2.0, 3.0], 2) == "2.00 ± 2.48"  # t(0.975, 2) = 4.303, times 1 / √3
    assert interval([2.0, None], 1) == "2.0 (1 of 2)"
    table = means_table("All", [LOW], rows, also={"n": {"a": "3 of 3"}})
    assert table.head == ("method", "n", "M ↓")
    assert table.rows == (("a", "3 of 3", "2.00 ± 2.48"), ("b", "–", "2.50 ± 6.35 (2 of 3)"))
    assert not table.bold  # of two pairs nothing is certain
    apart = paired_table("Apart", [LOW], rows, "a")
    assert apart.rows == (("b", "+1.00 ± 0.00 (p = 0.5)"),)


def test_a_difference_that_is_hardly_chance_has_a_small_chance() -> None:
    apart = (np.random.default_rng(0).normal(size=40) + 1).tolist()
    table = paired_table("", [LOW], {"a": {"m": [0.0] * 40}, "b": {"m": apart}}, "a")
    assert float(table.rows[0][1].split("p = ")[1].split(")")[0]) < 1e-4


def test_the_best_stands_out_where_it_differs_from_every_other() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(10, 1, 30)
    rows = {
        "a": {"m": (base - 1).tolist()},
        "b": {"m": base.tolist()},
        "c": {"m": (base + rng.normal(0, 1, 30)).tolist()},
    }
    assert best_of(LOW, rows) == "a"
    assert means_table("", [LOW], rows, also={}).bold == {(0, 1)}
    high = Measure(name="m", title="M", lower_is_better=False)
    assert best_of(high, rows) is None  # b and c differ by chance alone
    assert best_of(high, {"b": rows["b"], "a": rows["a"]}) == "b"
    assert best_of(LOW, {"a": rows["a"], "none": {}}) is None  # there is nothing to be better than
    assert best_of(LOW, {"a": rows["a"], "b": rows["a"]}) is None


def test_one_table_in_three_forms() -> None:
    table = Table(
        caption="50 %", head=("method", "a_b ↓"), rows=(("x & y", "1 ± 2"), ("<z>", "–")), bold=frozenset({(0, 1)})
    )
    assert table.markdown() == "50 %:\n\n| method | a_b ↓ |\n|---|---|\n| x & y | **1 ± 2** |\n| <z> | – |\n"
    assert "<td>x &amp; y</td><td><b>1 ± 2</b></td>" in table.html()
    assert "&lt;z&gt;" in table.html()
    latex = table.latex()
    assert r"\caption{50 \%}" in latex
    assert r"method & a\_b $\downarrow$ \\" in latex
    assert r"x \& y & \textbf{1 $\pm$ 2} \\" in latex
