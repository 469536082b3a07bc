"""Where ``-tr nnUNetTrainerGeometric`` ends: nnU-Net imports this file."""

from sweep.nnunet.trainer import nnUNetTrainerGeometric

__all__ = ["nnUNetTrainerGeometric"]
