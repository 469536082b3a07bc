"""Found by ``nnUNetv2_train … -tr nnUNetTrainerGeometric`` where nnUNet_extTrainer names this folder."""

from sweep.nnunet.trainer import nnUNetTrainerGeometric

__all__ = ["nnUNetTrainerGeometric"]
