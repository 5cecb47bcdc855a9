"""Superpixels of inputs, and values of their pixels."""

import numpy as np
import pytest
import torch

from segxai.explain.superpixels import spread, superpixels
from segxai.networks.network import Network
from tests.unit.toy_networks import CPU, generator, images


def painted(channels: int, size: int = 64) -> tuple[Network, torch.Tensor]:
    """Give an image of two halves, with some noise, and a network that normalises it."""
    colours = torch.full((channels, size, size), 0.2)
    colours[:, :, 37:] = 0.8
    colours += 0.02 * torch.randn(channels, size, size, generator=generator(8))
    mean, std = 0.3 + 0.1 * np.arange(channels), 0.2 + 0.1 * np.arange(channels)
    network = Network(torch.nn.Identity(), "classify", size, [*mean], [*std], CPU)
    shape = -1, 1, 1
    x = (colours - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
    return network, x.float()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_superpixels_respect_edges_of_any_number_of_channels(channels):
    """Each lies in one half of the image, up to two columns: grey is not cut into squares."""
    network, x = painted(channels)
    labels = superpixels(network, x, 20)
    assert labels.shape == (64, 64) and labels.dtype == torch.int64
    assert labels.unique().tolist() == [*range(int(labels.max()) + 1)]
    right = torch.arange(64).expand(64, 64) >= 37
    sizes = labels.flatten().bincount()
    share = labels[right].bincount(minlength=len(sizes)) / sizes
    strays = (torch.minimum(share, 1 - share) * sizes).sum()
    assert strays <= 128
    assert torch.equal(labels, superpixels(network, x, 20))


def test_superpixels_may_be_fewer_than_asked():
    """Of a constant image, of one that has fewer pixels, and of noise: all labels are in use."""
    network, x = painted(3, 8)
    for inputs, asked in [(x, 500), (torch.zeros(3, 8, 8), 500), (images(1, 9)[0], 8)]:
        labels = superpixels(network, inputs, asked)
        assert labels.unique().tolist() == [*range(int(labels.max()) + 1)]
        assert 1 < len(labels.unique()) <= 64


def test_values_of_superpixels_are_shared_by_their_pixels():
    """The sum over the pixels of a superpixel is its value."""
    labels = torch.tensor([[0, 0, 1], [2, 2, 2]])
    image = spread(torch.tensor([4.0, -1.0, 3.0]), labels)
    assert image.tolist() == [[[2, 2, -1], [1, 1, 1]]]
