"""Copies of runs, model versions and alias moves elsewhere: MLflow. SQL is the truth; nothing here waits for a copy."""
