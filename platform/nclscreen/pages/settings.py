"""What somebody sets for his own browser."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response
from pydantic import Field

from nclscreen.api.lists import Strict
from nclscreen.pages.drawing import Drawn, own_address, see
from nclscreen.pages.page_settings import PageSettings, keep
from nclscreen.pages.routes import PageRoute

router = APIRouter(prefix="/settings", route_class=PageRoute)


class SettingsForm(Strict):
    """How he wants his pages."""

    name: str | None = Field(None, max_length=100)
    careful: bool = False
    next: str | None = None


@router.get("")
def get_settings(pages: Drawn, next: str | None = None) -> Response:
    """A form."""
    return pages.draw("settings", following=own_address(next, "/jobs"))


@router.post("")
def set_settings(form: Annotated[SettingsForm, Form()]) -> Response:
    """Keep them in cookies, and go back."""
    response = see(own_address(form.next, "/jobs"))
    keep(response, PageSettings(name=form.name and form.name.strip(), careful=form.careful))
    return response
