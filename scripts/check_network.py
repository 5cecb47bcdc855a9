"""Check, before training, that weights fit a network and that it suits its uses."""

import torch

from segxai.job.files import write_json
from segxai.job.log import log, run
from segxai.networks.needs import check_needs
from segxai.networks.network import Network, build_network
from segxai.workflow.plugins import network_task


def main(network, channels, needs, checked):
    # A network used as published has three channels and no head.
    n_outputs, n_channels = (2, len(channels)) if network["training"] else (0, 3)
    module = build_network(network, n_outputs, n_channels, seed=0).eval().requires_grad_(False)
    half, size = [0.5] * n_channels, network["input_size"]
    untrained = Network(module, network_task(network), size, half, half, torch.device("cpu"))
    check_needs(untrained, network, needs)
    write_json(checked, {"input_size": size, **needs})
    log.info("takes inputs of %d px, and has everything that is read from it", size)


if __name__ == "__main__":
    run(main, snakemake)
