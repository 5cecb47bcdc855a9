"""segxai: masks from explanations, and explanations scored by segmentations."""
