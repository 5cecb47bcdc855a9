"""Data sets: readers, splits and samples."""
