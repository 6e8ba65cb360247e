#!/usr/bin/env python3
"""sampling.py: the divergence that the layer sampling adds to the loss, and its gradients.

Writes tests/golden/nn/sampling.npz: for each case mean and log_var [batch, numbers], weight, kl,
the mean over the batch of the divergence of normal(mean, e^(log_var/2)) from normal(0, 1) as
torch.distributions has it, in double, times weight; and its gradients with respect to both.
"""
import numpy as np
import torch
from torch.distributions import Normal, kl_divergence


def main():
    rng, out = np.random.default_rng(5), {}
    for i in range(12):
        shape = [(3, 4), (1, 1), (5, 2, 3)][i % 3]
        scale = [1, 0.01, 30][i // 4]
        mean = torch.tensor(rng.normal(0, scale, shape), requires_grad=True)
        log_var = torch.tensor(rng.normal(0, min(scale, 8), shape), requires_grad=True)
        weight = [1.0, 0.25, 7.5][i % 3]
        kl = kl_divergence(Normal(mean, torch.exp(log_var / 2)), Normal(0.0, 1.0))
        kl = weight * kl.flatten(1).sum(1).mean()
        kl.backward()
        out[f"{i}/mean"], out[f"{i}/log_var"] = mean.detach().numpy(), log_var.detach().numpy()
        out[f"{i}/d_mean"], out[f"{i}/d_log_var"] = mean.grad.numpy(), log_var.grad.numpy()
        out[f"{i}/kl"], out[f"{i}/weight"] = np.float64(kl.item()), np.float64(weight)
    np.savez_compressed("tests/golden/nn/sampling.npz", **out)


if __name__ == "__main__":
    main()
