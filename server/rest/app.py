"""The ASGI application."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from server.rest import cameras, frames, images, probes, problems
from server.rest.problems import install_problem_handlers
from server.rest.safe_headers import SafeHeaders
from server.rest.services import Services


def create_app(services: Services) -> FastAPI:
    """The application over these services. Its documentation page is left out: it would load files of others."""
    app = FastAPI(title="Secondsight", version="1", docs_url=None, redoc_url=None)
    app.state.services = services
    install_problem_handlers(app)
    app.add_middleware(SafeHeaders)
    for module in (cameras, frames, images, probes, problems):
        app.include_router(module.router)
    # All that lies in this folder is served, so it is no package and holds no module.
    page = Path(str(resources.files("server"))) / "page"
    app.mount("/", StaticFiles(directory=page, html=True), name="page")
    return app
