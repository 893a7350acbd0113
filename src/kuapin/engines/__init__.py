"""Compiled graphs behind one protocol: OpenVINO, ONNX Runtime, torch."""
