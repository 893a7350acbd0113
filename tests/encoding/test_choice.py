import pytest

from kuapin.encoding import choice
from kuapin.encoding.calibration import calibration_sample


@pytest.mark.parametrize(
    ("machine", "can", "texts", "expected"),
    [
        ("x86_64", {"FP32", "INT8", "BF16"}, 1000, "int8"),
        ("AMD64", {"FP32", "INT8"}, 1000, "int8"),
        ("x86_64", {"FP32", "INT8", "BF16"}, 10, "bf16"),
        ("x86_64", {"FP32", "INT8"}, 10, "f32"),
        ("x86_64", {"FP32"}, 1000, "f32"),
        ("arm64", {"FP32", "FP16", "INT8"}, 1000, "f32"),
        ("aarch64", {"FP32", "BF16"}, 1000, "f32"),
    ],
)
def test_auto_takes_what_the_processor_is_good_at(monkeypatch, machine, can, texts, expected):
    monkeypatch.setattr(choice.platform, "machine", lambda: machine)
    monkeypatch.setattr(choice, "capabilities", lambda: frozenset(can))
    chosen = choice.choose("auto", "auto", texts)
    assert (chosen.engine, chosen.precision) == ("openvino", expected)
    assert expected in chosen.reason


def test_what_is_asked_for_is_taken():
    chosen = choice.choose("onnx", "int8", 0)
    assert (chosen.engine, chosen.precision) == ("onnx", "int8")
    assert choice.choose("torch", "auto", 1000).precision == "f32"


def test_the_calibration_sample_spans_the_lengths_and_ignores_the_order():
    texts = ["x" * n for n in range(1, 1001)] * 2
    sample = calibration_sample(texts)
    assert len(sample) == len(set(sample)) == 300
    assert (len(sample[0]), len(sample[-1])) == (1, 1000)
    assert sample == calibration_sample(texts[::-1])
    assert calibration_sample(["b", "a", "b"]) == ["a", "b"]
    assert calibration_sample([]) == []
