"""The explainers, asked in one way by the name that `explainers.<name>.method` gives."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch

from segxai.explain.stream import Attribution, Request
from segxai.explainers.captum_integrated_gradients import captum_gradients
from segxai.explainers.grad_cam import grad_cam
from segxai.explainers.gradient_shap import gradient_shap
from segxai.explainers.integrated_gradients import integrated_gradients
from segxai.job.seeds import image_seed
from segxai.networks.network import Classifier

# What Captum's quadrature knows of the settings of ours.
CAPTUM_SETTINGS = ("steps", "noise_samples", "noise_std", "batch_size")


def explain(
    classifier: Classifier,
    requests: Iterable[Request],
    background: torch.Tensor | None,
    method: str,
    precision: str,
    compiled: bool,
    **settings,
) -> Iterator[Attribution]:
    """Attribute scores of images to their pixels, one image after the other.

    Parameters
    ----------
    classifier
    requests
        Images with the class whose score is explained; read as they are needed.
    background : Tensor of shape (M, 3, S, S)
        Other images, for methods that compare with them; None for the others.
    method, precision, compiled, settings
        ``explainers.<name>`` of the configuration.

    Returns
    -------
    iterator of Attribution
        One per request, in their order.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    scores = classifier.scores(precision, compiled)
    match method, settings.pop("engine", "ours"):
        case "integrated_gradients", "ours":
            return integrated_gradients(scores, requests, classifier.black(), **settings)
        case "integrated_gradients", "captum":
            settings = {key: settings[key] for key in CAPTUM_SETTINGS}
            return captum_gradients(scores, requests, classifier.black(), **settings)
        case "gradient_shap", _:
            return gradient_shap(scores, requests, background, **settings)
        case "grad_cam", _:
            return grad_cam(scores, classifier.network, requests, **settings)
    raise ValueError(f"there is no explainer '{method}'.")


def image_requests(
    classifier: Classifier,
    images: Iterable[tuple[str, np.ndarray]],
    targets: Mapping[str, Sequence[int]],
    grid: int,
    seed: int,
) -> Iterator[Request]:
    """Ask for an explanation of each target of each image, as they are needed.

    Parameters
    ----------
    classifier
    images
        Name and pixels (H, W, 3), uint8, of each.
    targets
        Indices of the classes to explain, by name; an image without any is passed over.
    grid
        Windows per side that an image is cut into.
    seed
        Of the study; whatever is drawn for an image follows from it and the image's name.

    Yields
    ------
    Request
    """
    for name, pixels in images:
        for target in targets.get(name, ()):
            generator = torch.Generator().manual_seed(image_seed(seed, name))
            yield Request(classifier.inputs(pixels, grid), target, generator)
