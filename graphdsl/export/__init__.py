"""Export to ONNX: prediction functions are run, and what they computed is written as an ONNX graph."""
