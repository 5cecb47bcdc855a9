"""The explainers, asked in one way by the name that `explainers.<name>.method` gives."""

import torch

from segxai.explain.captum_gradients import captum_gradients
from segxai.explain.grad_cam import grad_cam
from segxai.explain.gradient_shap import gradient_shap
from segxai.explain.integrated_gradients import Request, integrated_gradients
from segxai.models.classifier import Classifier

# What Captum's quadrature knows of the settings of ours.
CAPTUM_SETTINGS = ("steps", "noise_samples", "noise_std", "batch_size")


def explain(
    classifier: Classifier,
    inputs: torch.Tensor,
    target: int,
    background: torch.Tensor | None,
    generator: torch.Generator,
    method: str,
    precision: str,
    **settings,
) -> tuple[torch.Tensor, float]:
    """Attribute one class's score of one image to its pixels.

    Parameters
    ----------
    classifier
    inputs : Tensor of shape (W, 3, S, S)
        The windows of one image.
    target
        Index of the explained class.
    background : Tensor of shape (M, 3, S, S)
        Other images, for methods that compare with them; None for the others.
    generator
        CPU generator of all that is drawn for this image.
    method, precision, settings
        ``explainers.<name>`` of the configuration.

    Returns
    -------
    attribution : Tensor of shape (W, 3 or 1, S, S)
    gain : float
        What it must sum to; NaN for methods that promise no sum.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    score = classifier.score(target, precision)
    match method:
        case "integrated_gradients":
            requests = [Request(inputs, target, generator)]
            engine = integrated_gradients
            if settings.pop("engine") == "captum":
                engine = captum_gradients
                settings = {key: settings[key] for key in CAPTUM_SETTINGS}
            scores, black = classifier.scores(precision), classifier.black()
            (found,) = engine(scores, requests, black, **settings)
            return found.values, found.gain
        case "gradient_shap":
            return gradient_shap(score, inputs, background, generator, **settings)
        case "grad_cam":
            return grad_cam(score, classifier.network, inputs, **settings), float("nan")
    raise ValueError(f"there is no explainer '{method}'.")
