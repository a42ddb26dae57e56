"""The warm-up leaves no kernel of the Steiner solver to be compiled later, and two of them do not write the cache at once."""

from __future__ import annotations

from types import SimpleNamespace

from numba.core.dispatcher import Dispatcher

from kiban.design import warm


def test_every_kernel_is_in_the_cache_after_the_warm_up():
    assert warm.unreached() == []


def test_a_kernel_without_a_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Dispatcher, "stats", SimpleNamespace(cache_path=str(tmp_path)))
    assert "kiban.design.steiner.growing.grow" in warm.unreached()


def test_only_one_holds_the_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "WAIT", 0.3)
    with warm.alone(tmp_path / "cache" / "warm.lock") as first, warm.alone(tmp_path / "cache" / "warm.lock") as second:
        assert first
        assert not second
    with warm.alone(tmp_path / "cache" / "warm.lock") as third:
        assert third


def test_without_a_place_for_the_lock_it_runs_anyway(tmp_path):
    (tmp_path / "file").write_text("")
    with warm.alone(tmp_path / "file" / "below" / "warm.lock") as held:
        assert not held
