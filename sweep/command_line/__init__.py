"""What the commands share: options, exit codes, and output that nobody may be reading."""
