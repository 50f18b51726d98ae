"""A module that an import leaves for later is the module all the same."""

from real2sam2real.diffusion.lean_diffusers import LateModule, imported_late

import sys


def test_a_late_module_is_loaded_when_it_is_used(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with imported_late("colorsys"):
        import colorsys as late
    assert isinstance(late, LateModule)
    assert "colorsys" not in sys.modules
    assert late.rgb_to_hsv(0, 0, 0) == (0, 0, 0)
    import colorsys

    assert not isinstance(colorsys, LateModule)
    assert late.hsv_to_rgb is colorsys.hsv_to_rgb


def test_a_late_module_is_loaded_inside_the_block_where_it_is_used_there(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with imported_late("colorsys"):
        from colorsys import rgb_to_hsv
    assert rgb_to_hsv(0, 0, 0) == (0, 0, 0)
    assert not isinstance(sys.modules["colorsys"], LateModule)


def test_what_is_loaded_stays_and_what_is_missing_is_missing():
    with imported_late("json", "no_such_module"):
        import json as loaded
    assert not isinstance(loaded, LateModule)
    assert "no_such_module" not in sys.modules
