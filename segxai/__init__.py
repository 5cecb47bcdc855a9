"""segxai: explanations become segmentations, and segmentations judge explanations."""
