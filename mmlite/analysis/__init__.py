"""What a model costs, and pictures and pages about its training."""
