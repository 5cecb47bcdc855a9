"""Generated data sets: lesions and radiographs."""
