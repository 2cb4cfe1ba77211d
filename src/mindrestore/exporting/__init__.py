"""Write networks as MINDIR, ONNX or AIR, and run what was written."""
