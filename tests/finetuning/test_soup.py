import pytest

from kuapin.encoding.backbone import Backbone
from kuapin.finetuning.change import assembled
from kuapin.finetuning.objectives.co_interaction import CoInteraction
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.soup import Soup
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.strategy import trainable

torch = pytest.importorskip("torch")


@pytest.fixture
def parts(bert):
    config = FinetuningConfig(strategy="head-only")
    strategy = make_strategy(config)
    reader = assembled(Backbone.resolve(str(bert)), CoInteraction, {}, strategy, config, 10)
    return reader, strategy


def fill(reader, value):
    with torch.no_grad():
        for parameter in trainable(reader).values():
            parameter.fill_(value)


def held(reader):
    (value,) = {number for parameter in trainable(reader).values() for number in parameter.unique().tolist()}
    return value


def distance(reader, target):
    return lambda: abs(held(reader) - target)


def test_what_makes_the_metric_worse_is_left_out(parts, tmp_path):
    """Weights 4, 1, 9 at distances 1, 2, 6 from 3: with 1 the mean is 2.5, at ½; with 9 it is 4⅔, which is worse."""
    reader, strategy = parts
    soup = Soup(tmp_path, 3, greater_is_better=False)
    for step, weight in ((1, 9.0), (2, 1.0), (3, 4.0)):
        fill(reader, weight)
        soup.keep(reader, strategy, step, abs(weight - 3.0))
    fill(reader, 4.0)  # the best checkpoint, as the Trainer leaves it
    assert soup.stir(reader, strategy, distance(reader, 3.0)) == 2
    assert held(reader) == 2.5


def test_the_best_are_kept_on_disk_and_no_others(parts, tmp_path):
    reader, strategy = parts
    soup = Soup(tmp_path, 2, greater_is_better=True)
    for step, value in ((1, 0.1), (2, 0.5), (3, 0.2), (4, 0.05)):
        soup.keep(reader, strategy, step, value)
    assert {path.name for path in tmp_path.glob("soup-*")} == {"soup-2.safetensors", "soup-3.safetensors"}
    again = Soup(tmp_path, 2, greater_is_better=True)  # as after an interruption
    again.keep(reader, strategy, 5, 0.6)
    assert {path.name for path in tmp_path.glob("soup-*")} == {"soup-2.safetensors", "soup-5.safetensors"}


def test_a_soup_of_one_is_the_best_checkpoint(parts, tmp_path):
    reader, strategy = parts
    soup = Soup(tmp_path, 1, greater_is_better=True)
    soup.keep(reader, strategy, 1, 0.5)
    fill(reader, 7.0)
    assert soup.stir(reader, strategy, distance(reader, 0.0)) == 1
    assert held(reader) == 7.0
    assert list(tmp_path.iterdir()) == []
