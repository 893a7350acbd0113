"""Where torch computes."""

import pytest

from kuapin.device import training_device

torch = pytest.importorskip("torch")


def test_a_graphics_card_is_taken_where_there_is_one(monkeypatch):
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert training_device().type == device
