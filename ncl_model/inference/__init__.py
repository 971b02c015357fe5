"""From pixels to a verdict: checkpoints, the predictor, image scores and their calibration."""
