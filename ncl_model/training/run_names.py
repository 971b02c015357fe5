"""What the files in a run's folder are called. Apart, so that who looks for one need not import torch."""

#: to go on from
STATE = "state.pt"
#: to predict with
WEIGHTS = "weights.safetensors"
#: to read and to look at
LOG, METRICS, CURVES = "log.jsonl", "metrics.csv", "curves.png"
