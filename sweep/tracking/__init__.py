"""Trackers: observers of a sweep that log it to TensorBoard, MLflow and W&B.

They run in the driver after the records are written, so no trial waits for them. Each has one file
and is chosen from `make_trackers.TRACKERS`. A tracker that is not used is not imported.
"""
