"""What every route is given."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from nclscreen.wiring import Wiring


def _wiring(request: Request) -> Wiring:
    wiring: Wiring = request.app.state.wiring
    return wiring


#: a parameter of this type is what the composition root built
Wired = Annotated[Wiring, Depends(_wiring)]
