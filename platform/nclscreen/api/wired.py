"""What every route is given."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from nclscreen.api.admission import Admission, Asking
from nclscreen.wiring import Wiring


def _wiring(request: Request, caller: Asking) -> Wiring:
    admission: Admission = request.app.state.admission
    return admission.seen_by(caller)


def _whole(request: Request) -> Wiring:
    admission: Admission = request.app.state.admission
    return admission.wiring


#: a parameter of this type is what the composition root built, as far as the caller may see it
Wired = Annotated[Wiring, Depends(_wiring)]
#: all of it, whoever asks: for routes that tell nothing of it
Whole = Annotated[Wiring, Depends(_whole)]
