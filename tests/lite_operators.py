"""Operators that MindSpore Lite takes in a MINDIR of one size.

LITE: the converter of MindSpore Lite 2.0.0 was run on files of all networks and names in its log what it does not know
(the files' format number set back to the one it reads). ASCEND: what it then named, and hands on to CANN's graph
engine; MindSpore's library of operators for that engine has the three. MatMulExt, SumExt and Muls it named, too.
"""

from __future__ import annotations

_ARITHMETIC = {"Add", "Cast", "CumSum", "Div", "Floor", "Maximum", "Minimum", "Mul", "Sqrt", "Sub"}
_SHAPES = {"Concat", "Gather", "Reshape", "Slice", "Split", "Stack", "StridedSlice", "Tile", "Transpose"}
_LAYERS = {"AvgPool", "BiasAdd", "Conv2D", "Conv2DTranspose", "MaxPool", "PReLU", "ReLU", "Sigmoid", "Softmax", "Tanh"}
_SUMS = {"BatchMatMul", "MatMul", "ReduceMean", "ReduceSum"}
_GRAPH = {"Depend", "Load", "MakeTuple", "TupleGetItem", "UpdateState"}

LITE = _ARITHMETIC | _SHAPES | _LAYERS | _SUMS | _GRAPH
ASCEND = {"DeformableOffsets", "MirrorPad", "ResizeBilinearV2"}
