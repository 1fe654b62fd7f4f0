"""The web application: one Flask object made from its parts, with no state of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_spec.extras import require
from model_server.services import Services

if TYPE_CHECKING:
    from flask import Flask


def create_app(services: Services) -> Flask:
    """The WSGI application.

    Raises:
        MissingExtraError: Flask is not installed.
    """
    require("flask", extra="server")
    from flask import Flask

    from model_server import admin_routes, device_routes, problems, public_routes, telemetry_routes

    app = Flask("model_server", static_folder=None)
    problems.install(app)
    app.register_blueprint(public_routes.blueprint(services))
    app.register_blueprint(admin_routes.blueprint(services))
    app.register_blueprint(device_routes.blueprint(services))
    app.register_blueprint(telemetry_routes.blueprint(services))
    return app
