"""PyTorch Lightning in a sweep: ``from sweep.lightning import fit`` in a file of yours.

    def train(config, trial):
        trainer = lightning.Trainer(accelerator=trial.device.type, devices=1)
        fit(trial, trainer, MyModule(**config), data)  # not trainer.fit(MyModule(**config), data)

See docs/how-to/own-trainer.md.
"""

from sweep.machine.installed_packages import require_torchvision

try:
    import lightning.pytorch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "sweep.lightning needs the package lightning: pip install 'medical-sweep[lightning]'"
    ) from error
except RuntimeError:  # of torchvision, which Lightning imports where it is installed
    require_torchvision()
    raise

from sweep.trainer.lightning.lightning_fit import fit

__all__ = ["fit"]
