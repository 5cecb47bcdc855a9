"""Data sets: readers, phantoms, download, splits, patches."""
