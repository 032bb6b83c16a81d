"""Trained detectors for other runtimes: ONNX, OpenVINO, TensorRT. See docs/export.md."""
