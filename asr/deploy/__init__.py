"""Trained models without this package: ONNX graphs, and folders that need only onnxruntime."""
