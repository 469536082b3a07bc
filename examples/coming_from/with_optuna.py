"""A search written with Optuna: the network and the data of examples/function_trainer.py.

python examples/coming_from/with_optuna.py
"""

import sys
from pathlib import Path

import optuna
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))
from function_trainer import discs, network, validated


def objective(trial):
    lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    width = trial.suggest_categorical("width", [4, 8, 16])
    torch.manual_seed(0)
    model = network(width)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    best = 0.0
    for epoch in range(8):
        for _ in range(8):
            images, labels = discs(4)
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        dice = float(validated(model, torch.device("cpu"))["dice"])
        best = max(best, dice)
        trial.report(dice, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return best


if __name__ == "__main__":
    study = optuna.create_study(
        storage="sqlite:///study.db",
        study_name="discs",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3),
    )
    study.enqueue_trial({"lr": 1e-2, "width": 8})
    study.optimize(objective, n_trials=12)
    print(study.best_value, study.best_params)
