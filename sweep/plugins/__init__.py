"""Plug-ins: networks, searchers, schedulers and trackers that other packages bring.

Nothing of theirs is imported before it is asked for. How to write one: docs/how-to/plugins.md.
"""
