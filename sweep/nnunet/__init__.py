"""nnU-Net v2 on our losses and guard: datasets planned, trained, and handed back as commands."""
