"""The segmenters: from maps, features or images to masks."""
