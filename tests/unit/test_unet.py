"""U-Net: its shape, its loss in closed form, and what training makes of it."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from segxai.datasets.phantoms.lesions import phantom_lesion
from segxai.job.log import InputError
from segxai.metrics.overlap import dice
from segxai.networks.augment import augment
from segxai.networks.inputs import normalise
from segxai.networks.network import Network, build_network
from segxai.networks.saving import save_weights
from segxai.networks.segment import segmentation_loss, train_segmenter
from segxai.networks.training import LabelledImages
from segxai.networks.unet import UNet
from tests.unit.toy_networks import FRESH, unet

CPU = torch.device("cpu")
TRAINING = {
    "optimiser": "adam",
    "learning_rate": 0.003,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "decay_every": 1,
    "decay_after": 30,
    "decay_factor": 0.95,
    "epochs": 36,
    "patience": None,
    "batch_size": 4,
    "augmentation": {"flip": 0.0, "jitter": 0.0, "rotation": 0},
    "cross_entropy_weight": 0.5,
}
TO_INPUT = partial(normalise, mean=[0.4] * 3, std=[0.2] * 3)


def phantoms(n: int, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Draw the first phantoms that have a lesion, with masks (n, 1, size, size)."""
    drawn = (phantom_lesion(index, size) for index in range(4 * n))
    images, masks = zip(*[pair for pair in drawn if pair[1].any()][:n], strict=True)
    return np.stack(images), np.stack(masks)[:, None].astype(np.uint8)


def logits_of(p: torch.Tensor) -> torch.Tensor:
    """Logits of probabilities."""
    return torch.logit(torch.as_tensor(p, dtype=torch.float64))


def test_five_levels_of_32_features():
    """Nine pairs of 3×3 convolutions, 32…512 and back, 7.76 M parameters for one mask."""
    model = UNet(1, 3, 32)
    convolutions = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    *pairs, head = [part.out_channels for part in convolutions]
    assert pairs[::2] == pairs[1::2] == [32, 64, 128, 256, 512, 256, 128, 64, 32]
    assert head == 1
    down, up = (3, 32, 64, 128, 256, 512), (512, 256, 128, 64, 32)
    levels = [*pairwise(down), *pairwise(up)]
    three = sum(9 * (a * b + b * b) + 4 * b for a, b in levels)
    two = sum(4 * a * b + b for a, b in pairwise(up))
    assert sum(p.numel() for p in model.parameters()) == three + two + 33 == 7_763_041


def test_masks_are_as_large_as_images():
    """Any multiple of 16 will do, also oblong; any other size is named with its key."""
    model = UNet(3, 3, 32).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 32, 48)).shape == (2, 3, 32, 48)
    with pytest.raises(InputError, match=r"input_size.*40.*multiple of 16"):
        model(torch.zeros(1, 3, 64, 40))


def test_skip_connections_carry_detail():
    """A pixel's logit depends on that pixel although the bottom level has 16×16 cells."""
    model = unet(1, width=32, seed=0).eval().requires_grad_(False)
    for upsampler in model.upsamplers:
        upsampler.weight.zero_()
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model(x)[0, 0, 9, 20].backward()
    seen = x.grad.abs().sum(dim=(0, 1)).nonzero()
    # Without the way up, four 3×3 convolutions of the first level remain.
    assert seen.min(dim=0).values.tolist() == [5, 16]
    assert seen.max(dim=0).values.tolist() == [13, 24]


def test_seed_decides_the_weights():
    """One seed, one network; the global random state is untouched."""
    state = torch.random.get_rng_state()
    a, b, c = unet(1, width=32, seed=1), unet(1, width=32, seed=1), unet(1, width=32, seed=2)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(a.head.weight, b.head.weight)
    assert not torch.equal(a.head.weight, c.head.weight)


def test_loss_of_known_probabilities():
    """Two of four pixels, probabilities 0.8 and 0.4 inside, 0.2 outside, worked out by hand."""
    p = torch.tensor([[[[0.8, 0.4], [0.2, 0.2]]]])
    masks = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]], dtype=torch.float64)
    cross_entropy = -(np.log(0.8) + np.log(0.4) + 2 * np.log(0.8)) / 4
    dice_loss = 1 - (2 * 1.2 + 1) / (1.6 + 2 + 1)
    for weight in (0.0, 0.5, 1.0):
        expected = weight * cross_entropy + (1 - weight) * dice_loss
        loss = segmentation_loss(logits_of(p), masks, weight)
        assert loss.item() == pytest.approx(expected, rel=1e-6)


@given(seed=st.integers(0, 200), weight=st.floats(0, 1))
def test_loss_is_the_mean_over_images_and_masks(seed, weight):
    """A batch costs the mean of its images and masks, so that batching changes nothing."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 2, 4, 4, generator=generator)
    masks = torch.randint(0, 2, (3, 2, 4, 4), generator=generator).float()
    alone = [
        segmentation_loss(logits[i : i + 1, j : j + 1], masks[i : i + 1, j : j + 1], weight)
        for i in range(3)
        for j in range(2)
    ]
    together = segmentation_loss(logits, masks, weight)
    torch.testing.assert_close(together, torch.stack(alone).mean(), rtol=1e-5, atol=1e-6)


def test_nothing_marked_where_nothing_is_costs_nothing():
    """An empty mask is learnt by marking nothing; marking all of it costs nearly 1 of Dice."""
    empty = torch.zeros(1, 1, 8, 8)
    assert segmentation_loss(torch.full_like(empty, -50.0), empty, 0.5).item() < 1e-6
    assert segmentation_loss(torch.full_like(empty, 50.0), empty, 0.0).item() > 0.98


@pytest.mark.parametrize(("weight", "n_masks"), [(0.5, 1), (1.0, 2)])
def test_four_phantoms_are_learnt_by_heart(weight, n_masks):
    """Trained and validated on four phantoms, the U-Net marks their lesions: Dice > 0.95.

    Also beside a second mask that covers the whole image: a pixel may lie in both.
    """
    images, lesions = phantoms(4)
    masks = np.concatenate([lesions, np.ones_like(lesions)], axis=1)[:, :n_masks]
    both = LabelledImages(images, masks, 32, CPU)
    model = unet(n_masks, width=32)
    settings = TRAINING | {"cross_entropy_weight": weight}
    history = train_segmenter(model, both, both, TO_INPUT, settings, seed=0)
    x, _ = next(both.batches(4))
    with torch.no_grad():
        predicted = model(TO_INPUT(x)) > 0
    scores = dice(predicted.numpy(), masks)
    assert scores.mean(axis=0).min() > 0.95
    best = history.loc[history.validation_loss.idxmin()]
    assert best.validation_dice == pytest.approx(scores.mean(), abs=1e-6)
    assert not model.training


def test_best_epoch_is_kept_whatever_the_batches():
    """The weights kept give the least validation loss again, in batches of another size."""
    images, masks = phantoms(7)
    train, held_out = (
        LabelledImages(images[:4], masks[:4], 32, CPU),
        LabelledImages(images[4:], masks[4:], 32, CPU),
    )
    model = unet(1, width=32, seed=0)
    settings = TRAINING | {"epochs": 4, "batch_size": 2}
    history = train_segmenter(model, train, held_out, TO_INPUT, settings, seed=0)
    x, y = next(held_out.batches(3))
    with torch.no_grad():
        loss = segmentation_loss(model(TO_INPUT(x)), y.float(), 0.5)
    assert loss.item() == pytest.approx(history.validation_loss.min(), rel=1e-4)
    assert list(history) == [
        *("epoch", "learning_rate", "train_loss", "validation_loss", "validation_dice")
    ]


def test_training_is_reproducible():
    """The same seed gives the same history, augmentation included, whatever was drawn before."""
    images, masks = phantoms(4)
    both = LabelledImages(images, masks, 32, CPU)
    augmentation = {"flip": 0.5, "jitter": 0.1, "rotation": 15}
    settings = TRAINING | {"epochs": 2, "augmentation": augmentation}
    histories = []
    for earlier_draws in (1, 2):
        torch.manual_seed(earlier_draws)
        histories.append(
            train_segmenter(unet(1, width=32, seed=3), both, both, TO_INPUT, settings, seed=4)
        )
    assert histories[0].equals(histories[1])


def test_masks_move_with_their_images():
    """Channels after the third are flipped and turned like the image; colours leave them alone."""
    mask = torch.zeros(6, 1, 32, 32)
    mask[:, :, 4:12, 18:28] = 1.0
    both = torch.cat([mask.expand(-1, 3, -1, -1), mask], dim=1)
    moved = augment(both, 3, 0.5, 0.0, 45, torch.Generator().manual_seed(0))
    torch.testing.assert_close(moved[:, 3:], moved[:, :1])
    assert (moved[:, 3:] != mask).any()
    jittered = augment(both, 3, 0.5, 0.4, 45, torch.Generator().manual_seed(0))
    torch.testing.assert_close(jittered[:, 3:], moved[:, 3:], rtol=0, atol=0)
    assert not torch.equal(jittered[:, :3], moved[:, :3])


def test_masks_of_another_size_are_resized():
    """Masks twice as fine as the network's input train it as their averages do, to the digit."""
    images, masks = phantoms(4)
    fine = masks.repeat(2, axis=2).repeat(2, axis=3)
    histories = []
    for labels in (masks, fine):
        both = LabelledImages(images, labels, 32, CPU)
        settings = TRAINING | {"epochs": 2}
        histories.append(
            train_segmenter(unet(1, width=32, seed=0), both, both, TO_INPUT, settings, seed=0)
        )
    assert histories[0].equals(histories[1])


@pytest.mark.parametrize("bias", [-20.0, 20.0])
def test_validation_without_any_mask_has_no_dice(bias):
    """If all true masks are empty, Dice is undefined for any prediction; training continues."""
    images, masks = phantoms(2)
    empty = LabelledImages(images, np.zeros_like(masks), 32, CPU)
    model = unet(1, width=32, seed=0)
    nn.init.constant_(model.head.bias, bias)
    history = train_segmenter(model, empty, empty, TO_INPUT, TRAINING | {"epochs": 1}, seed=0)
    assert history.validation_dice.isna().all()
    assert history.validation_loss.notna().all()


def test_validation_dice_is_of_images_that_show_something():
    """An empty true mask, marked or not, changes no Dice."""
    images, masks = phantoms(4)
    shown = LabelledImages(images[:2], masks[:2], 32, CPU)
    mixed = LabelledImages(images, np.concatenate([masks[:2], 0 * masks[2:]]), 32, CPU)
    histories = [
        train_segmenter(
            unet(1, width=32, seed=0), shown, held_out, TO_INPUT, TRAINING | {"epochs": 2}, seed=0
        )
        for held_out in (shown, mixed)
    ]
    first, second = (history.validation_dice for history in histories)
    np.testing.assert_allclose(first, second)


def test_weights_survive_a_round_trip(tmp_path):
    """What the study saves gives the same logits when loaded; another network is refused."""
    path, card = tmp_path / "unet.safetensors", tmp_path / "card.json"
    model = unet(2)
    save_weights(model, path)
    card.write_text('{"outputs": 2}')
    definition = {"method": "unet", "width": 4, "input_size": 32, "normalisation": "pretraining"}
    loaded = Network.load(path, card, None, definition | FRESH, 3, CPU)
    assert loaded.task == "segment"
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.outputs(x), model.eval()(x), rtol=0, atol=0)
    assert not loaded.module.training
    assert not any(p.requires_grad for p in loaded.module.parameters())
    card.write_text('{"outputs": 1}')
    with pytest.raises(InputError, match=r"unet\.safetensors.*unet with 1 outputs"):
        Network.load(path, card, None, definition | FRESH, 3, CPU)
    card.write_text('{"outputs": 2}')
    safetensors.torch.save_file({"a": torch.ones(1)}, path)
    with pytest.raises(InputError, match="not weights"):
        Network.load(path, card, None, definition | FRESH, 3, CPU)


def test_local_weights_give_the_body(tmp_path):
    """`weights` loads all but the head, also from a U-Net of another number of masks."""
    path = tmp_path / "unet.safetensors"
    source = unet(2, seed=1)
    save_weights(source, path)
    definition = {"method": "unet", "width": 4, "pretrained": False, "weights": str(path)}
    model = build_network(definition, 1, 3, seed=2)
    assert torch.equal(model.encoders[4][0].weight, source.encoders[4][0].weight)
    assert model.head.weight.shape == (1, 4, 1, 1)
