"""A search written with W&B sweeps: the network and the data of examples/function_trainer.py.

It needs an account: wandb's server chooses the configurations.

    python examples/coming_from/with_wandb.py
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import wandb

sys.path.insert(0, str(Path(__file__).parents[1]))
from function_trainer import discs, network, validated

SWEEP = {
    "method": "bayes",
    "metric": {"name": "dice", "goal": "maximize"},
    "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 3},
    "parameters": {
        "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
        "width": {"values": [4, 8, 16]},
    },
}


def train(config=None):
    with wandb.init(config=config) as run:
        torch.manual_seed(0)
        model = network(run.config.width)
        optimizer = torch.optim.Adam(model.parameters(), lr=run.config.lr)
        for _ in range(8):
            for _ in range(8):
                images, labels = discs(4)
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            run.log({"dice": float(validated(model, torch.device("cpu"))["dice"])})


if __name__ == "__main__":
    wandb.agent(wandb.sweep(SWEEP, project="discs"), train, count=12)
