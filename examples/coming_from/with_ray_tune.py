"""A search written with Ray Tune: the network and the data of examples/function_trainer.py.

python examples/coming_from/with_ray_tune.py
"""

import os
from pathlib import Path

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

EXAMPLES = str(Path(__file__).parents[1])


def train(config):
    import torch
    import torch.nn.functional as F
    from function_trainer import discs, network, validated

    torch.manual_seed(0)
    model = network(config["width"])
    optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
    for _ in range(8):
        for _ in range(8):
            images, labels = discs(4)
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        tune.report({"dice": float(validated(model, torch.device("cpu"))["dice"])})


if __name__ == "__main__":
    os.environ["RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS"] = "0"
    ray.init("local", runtime_env={"env_vars": {"PYTHONPATH": EXAMPLES}})
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={
            "lr": tune.loguniform(1e-4, 1.0),
            "width": tune.choice([4, 8, 16]),
        },
        tune_config=tune.TuneConfig(
            metric="dice",
            mode="max",
            num_samples=12,
            scheduler=ASHAScheduler(max_t=8, grace_period=2, reduction_factor=3),
        ),
        run_config=tune.RunConfig(name="discs", storage_path=str(Path("ray_results").absolute())),
    )
    results = tuner.fit()
    print(results.get_best_result("dice", "max", scope="all").config)
