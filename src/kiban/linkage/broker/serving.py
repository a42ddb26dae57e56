"""The broker under its HTTP server: one process, or one worker of several."""

from __future__ import annotations

import functools

import uvicorn

from kiban.linkage.broker.broker import Broker, Options
from kiban.linkage.broker.routes import routes
from kiban.linkage.broker.server import App


def make_app(options: Options) -> App:
    """The ASGI callable of a broker with these options."""
    broker = Broker(options)
    app = App(broker, routes())
    app.body_limit = options.body_limit
    app.cors = options.cors.encode() or None
    broker.attach(app)
    return app


def config(options: Options) -> uvicorn.Config:
    """How the HTTP server runs; the app is made in the process that serves."""
    return uvicorn.Config(
        functools.partial(make_app, options),
        factory=True,
        workers=options.workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_level="warning",
        log_config=None,  # operate.carry_over takes what there is to tell
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_worker_healthcheck=20,  # a worker answers only when all is loaded, which a busy machine takes long for
        timeout_graceful_shutdown=int(options.stop_seconds),
    )
