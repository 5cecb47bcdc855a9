"""Data sets that are made here: lesions and radiographs."""
