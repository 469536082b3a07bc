"""The live page: results folders in a browser, on this machine alone."""
