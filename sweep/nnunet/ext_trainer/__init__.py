"""The folder that ``nnUNet_extTrainer`` names: nnU-Net looks in it for ``-tr`` classes.

It holds no setting and no code of its own, so no copy of it can be out of date.
"""
