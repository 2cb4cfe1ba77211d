"""The layers of all networks: the only place with operators whose form depends on the device."""

from mindrestore.models.layers.activations import LeakyReLU, ScalarPReLU
from mindrestore.models.layers.basic import AveragePool2x2, MaxPool2x2, UpsampleConv, batch_norm, linear
from mindrestore.models.layers.channels import ChannelAdd, ChannelMean, ChannelScale, channel_sum
from mindrestore.models.layers.conv1x1 import Conv1x1, Product1x1
from mindrestore.models.layers.conv3x3 import Conv3x3, conv_3x3
from mindrestore.models.layers.convolve import Conv2d, Convolve
from mindrestore.models.layers.deform import DeformConv2d
from mindrestore.models.layers.depthwise import Depthwise5x5
from mindrestore.models.layers.form import (
    FORMS,
    Layer,
    chosen,
    current_device,
    in_form,
    is_free,
    layers_of,
    like,
    on_cpu,
    set_form,
)
from mindrestore.models.layers.grid import GridGate, GridMean
from mindrestore.models.layers.initial import fill_normal, new_bias, new_kernel
from mindrestore.models.layers.mirror import MirrorExtend, ReflectPad
from mindrestore.models.layers.narrow import NarrowConv2d
from mindrestore.models.layers.parts import Halves, Parts
from mindrestore.models.layers.resize import BilinearResize
from mindrestore.models.layers.twins import assign, blended, mean, norm, shrink, split, together
from mindrestore.models.layers.windows import WindowAttention, Windows

__all__ = [
    "FORMS",
    "AveragePool2x2",
    "BilinearResize",
    "ChannelAdd",
    "ChannelMean",
    "ChannelScale",
    "Conv1x1",
    "Conv2d",
    "Conv3x3",
    "Convolve",
    "DeformConv2d",
    "Depthwise5x5",
    "GridGate",
    "GridMean",
    "Halves",
    "Layer",
    "LeakyReLU",
    "MaxPool2x2",
    "MirrorExtend",
    "NarrowConv2d",
    "Parts",
    "Product1x1",
    "ReflectPad",
    "ScalarPReLU",
    "UpsampleConv",
    "WindowAttention",
    "Windows",
    "assign",
    "batch_norm",
    "blended",
    "channel_sum",
    "chosen",
    "conv_3x3",
    "current_device",
    "fill_normal",
    "in_form",
    "is_free",
    "layers_of",
    "like",
    "linear",
    "mean",
    "new_bias",
    "new_kernel",
    "norm",
    "on_cpu",
    "set_form",
    "shrink",
    "split",
    "together",
]
