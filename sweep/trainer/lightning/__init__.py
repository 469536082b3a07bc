"""PyTorch Lightning's trainer in a function: what `sweep.lightning` offers."""
