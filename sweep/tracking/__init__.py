"""Trackers: observers of a sweep that pass it on to TensorBoard and MLflow.

They run in the driver and see what was recorded, so no trial waits for them. One file each, chosen
by `make.TRACKERS`; nothing of theirs is imported unless asked for.
"""
