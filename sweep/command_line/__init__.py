"""Shared by the commands: options, exit codes, and output to a closed pipe."""
