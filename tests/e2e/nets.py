"""Vision networks as their papers have them, and the work of their layers. Random weights."""

import itertools

import torch
from torch import nn


class Residual(nn.Module):
    """He et al. 2016, arXiv 1512.03385, figure 2, with a 1x1 shortcut where the size changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
            nn.ReLU(), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential() if stride == 1 and inputs == outputs else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18() -> nn.Module:
    blocks = [Residual(a, b, stride) for a, b, stride in (
        (64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1),
        (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1))]
    return nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                         nn.MaxPool2d(3, 2, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(512, 1000))


class InvertedResidual(nn.Module):
    """Sandler et al. 2018, arXiv 1801.04381, table 1."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inputs * expand
        layers: list[nn.Module] = []
        if expand != 1:
            layers += unit(inputs, hidden, 1)
        layers += unit(hidden, hidden, 3, stride, hidden)
        layers += [nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.body = nn.Sequential(*layers)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def unit(inputs: int, outputs: int, kernel: int, stride: int = 1,
         groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs), nn.ReLU6()]


# Expansion, channels, repeats, first stride: arXiv 1801.04381, table 2.
MOBILENET = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
             (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet_v2() -> nn.Module:
    layers, inputs = unit(3, 32, 3, 2), 32
    for expand, outputs, repeats, first in MOBILENET:
        for stride in itertools.islice(itertools.chain([first], itertools.repeat(1)), repeats):
            layers.append(InvertedResidual(inputs, outputs, stride, expand))
            inputs = outputs
    return nn.Sequential(*layers, *unit(320, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(1280, 1000))


def mobilenet_v2_layers() -> list[tuple[int, int]]:
    """(multiply-adds of one image, whether the input has a gradient), layer by layer, by hand."""
    side, inputs = 112, 32
    layers = [(side**2 * 32 * 27, False)]
    for expand, outputs, repeats, first in MOBILENET:
        for repeat in range(repeats):
            hidden = inputs * expand
            if expand != 1:
                layers.append((side**2 * inputs * hidden, True))
            side //= first if repeat == 0 else 1
            layers += [(side**2 * hidden * 9, True), (side**2 * hidden * outputs, True)]
            inputs = outputs
    return [*layers, (side**2 * 320 * 1280, True), (1280 * 1000, True)]
