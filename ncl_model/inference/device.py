"""The device a network runs on, by its name."""

from __future__ import annotations

import torch

from ncl_model.errors import ConfigInvalid


def device_named(name: str) -> torch.device:
    """``cpu``, ``cuda``, ``cuda:1`` and so on. Raises ConfigInvalid when torch cannot compute there."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigInvalid("device", f"torch cannot compute on {name!r} here ({reason}); take cpu") from error
    return device
