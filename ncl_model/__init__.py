"""The science: the NCL network, its losses, data, training, evaluation and prediction.

Needs torch, numpy, pillow and safetensors only. Importing this package imports none of them.
"""
