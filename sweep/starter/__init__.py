"""Files to start from: those that the package ships, and one fitted to a dataset."""
