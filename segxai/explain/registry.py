"""The explainers by the name that `explainers.<name>.method` gives."""

from segxai.explain.integrated_gradients import integrated_gradients

EXPLAINERS = {"integrated_gradients": integrated_gradients}
