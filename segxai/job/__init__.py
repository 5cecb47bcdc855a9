"""What every job needs around its arrays: logging, clear errors, files, seeds, workers."""
