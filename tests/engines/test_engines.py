"""The same small graph in every engine; what they share is their contract."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kuapin.engines.onnx import ONNXEngine
from kuapin.engines.openvino import OpenVINOEngine
from kuapin.engines.torch import TorchEngine
from kuapin.errors import InputError, ModelFolderError

WEIGHT = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


def openvino_engine(folder, precision):
    import openvino as ov
    from openvino import opset13 as ops

    x = ops.parameter([-1, 3], np.float32, name="x")
    model = ov.Model([ops.matmul(x, ops.constant(WEIGHT), transpose_a=False, transpose_b=False)], [x])
    ov.save_model(model, folder / "graph.xml", compress_to_fp16=False)
    return OpenVINOEngine(folder / "graph.xml", precision, threads=1)


def onnx_engine(folder, precision):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    info, float32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [info("x", float32, [None, 3])],
        [info("y", float32, [None, 2])],
        [onnx.numpy_helper.from_array(WEIGHT, "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "graph.onnx")
    return ONNXEngine(folder / "graph.onnx", precision, threads=1)


def torch_engine(_, precision):
    torch = pytest.importorskip("torch")

    class Product(torch.nn.Module):
        def forward(self, x):
            return x @ torch.from_numpy(WEIGHT)

    return TorchEngine(Product(), precision)


ENGINES = [openvino_engine, onnx_engine, torch_engine]


@pytest.mark.parametrize("make", ENGINES)
def test_a_product_by_hand_and_the_earlier_result_is_not_overwritten(tmp_path, make):
    engine = make(tmp_path, "f32")
    assert engine.precision == "f32"
    first = engine.run({"x": np.array([[1, 0, 1]], np.float32)})
    second = engine.run({"x": np.array([[0, 1, 0], [2, 0, 0]], np.float32)})
    assert first.dtype == second.dtype == np.float32
    np.testing.assert_allclose(first, [[6, 8]], rtol=1e-6)
    np.testing.assert_allclose(second, [[3, 4], [2, 4]], rtol=1e-6)


@pytest.mark.parametrize("make", ENGINES)
def test_threads_that_ask_at_once_get_each_its_own(tmp_path, make):
    """Large enough that one is at work while another asks."""
    engine = make(tmp_path, "f32")

    def ask(number):
        found = engine.run({"x": np.full((200_000, 3), number, np.float32)})
        return float(found[0, 0]), float(found[-1, 1])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(24))) == [(9.0 * number, 12.0 * number) for number in range(24)]


@pytest.mark.parametrize("make", [openvino_engine, torch_engine])
def test_bf16_gives_float32_out(tmp_path, make):
    result = make(tmp_path, "bf16").run({"x": np.array([[1, 0, 1]], np.float32)})
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[6, 8]], rtol=0.02)


def test_precisions_that_an_engine_lacks(tmp_path):
    with pytest.raises(InputError, match="onnx has no bf16"):
        onnx_engine(tmp_path, "bf16")
    with pytest.raises(InputError, match="torch has no int8"):
        torch_engine(tmp_path, "int8")


@pytest.mark.parametrize(("engine", "name"), [(OpenVINOEngine, "graph.xml"), (ONNXEngine, "graph.onnx")])
def test_a_broken_graph(tmp_path, engine, name):
    (tmp_path / name).write_text("broken", encoding="utf-8")
    with pytest.raises(ModelFolderError, match="cannot read this graph"):
        engine(tmp_path / name, "f32")


def test_openvino_sends_no_telemetry():
    program = """
from kuapin.engines.openvino import openvino_without_telemetry
openvino_without_telemetry()
import openvino.tools.ovc as ovc
print(type(ovc.telemetry).__module__)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "kuapin.engines.openvino"
