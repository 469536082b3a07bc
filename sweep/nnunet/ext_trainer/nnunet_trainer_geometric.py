"""Where ``-tr nnUNetTrainerGeometric`` ends: nnU-Net imports this file."""

from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric

__all__ = ["nnUNetTrainerGeometric"]
