"""Makes the dashboard: the API, the pages, and the rules every request is held to."""

from __future__ import annotations

from datetime import timedelta

from flask_openapi3.models.info import Info
from flask_openapi3.models.security_scheme import SecurityScheme
from flask_openapi3.openapi import OpenAPI

from core.config import Settings
from core.errors import InvalidSettings
from core.incoming.s3_sources import open_places
from core.ledger.database import Database
from core.store import Store
from dashboard import deprecation, health, identity, limits, metrics, oidc, problems, request_log, security
from dashboard.api import (
    account,
    aliases,
    collections,
    comparison,
    curves,
    datasets,
    downloads,
    events,
    files,
    items,
    job_files,
    job_history,
    jobs,
    logs,
    marks,
    model_details,
    models,
    news,
    openapi,
    operating,
    recordings,
    results,
    retention,
    schedules,
    sources,
    steering,
    storage_and_health,
    tokens,
    trainings,
    uploads,
    users,
)
from dashboard.pages import account as account_pages
from dashboard.pages import audit as audit_pages
from dashboard.pages import chosen_faces, job_list, job_page, new_job, sign_in
from dashboard.pages import comparison as comparison_pages
from dashboard.pages import datasets as dataset_pages
from dashboard.pages import evaluations as evaluation_pages
from dashboard.pages import models as model_pages
from dashboard.pages import operating as operating_pages
from dashboard.pages import people as people_pages
from dashboard.pages import retention as retention_pages
from dashboard.pages import schedules as schedule_pages
from dashboard.pages import storage_and_health as storage_and_health_pages
from dashboard.pages import training as training_pages
from dashboard.rendering import register_rendering
from dashboard.services import Services, attach

_SHORTEST_KEY = 32
_SESSION_LIFE = timedelta(days=14)


def create_app(settings: Settings) -> OpenAPI:
    """Args:
        settings: as one of the entry points loaded them.

    Raises:
        InvalidSettings: the key that signs sessions is missing or short, or a place in S3 is none.
    """
    if min(map(len, settings.secret_keys), default=0) < _SHORTEST_KEY:
        raise InvalidSettings(
            f"VOICESKETCH_SECRET_KEY must have at least {_SHORTEST_KEY} characters, in each of its lines."
        )
    open_places(settings)  # what cannot be read is told now, and not to whoever asks first
    app = OpenAPI(
        "dashboard",
        info=Info(
            title="voicesketch",
            version="1",
            description="Recordings in, faces out. Faces are a model's guesses.",
        ),
        security_schemes={
            "token": SecurityScheme(type="http", scheme="bearer"),
            "cookie": {"type": "apiKey", "in": "cookie", "name": "session"},
        },
        doc_ui=False,
        validation_error_status=400,
        validation_error_callback=problems.validation_problem,
    )
    security.configure(app, settings)
    app.config["PERMANENT_SESSION_LIFETIME"] = _SESSION_LIFE
    attach(
        app.extensions,
        Services(settings, Database(settings.database_url, for_requests=True), Store(settings)),
    )

    metrics.attach(app)
    request_log.attach(app)
    # In this order: a wrong host is told nothing, and nobody's form is read before we know whose it is.
    app.before_request(security.refuse_strange_hosts)
    app.before_request(security.limit_body)
    app.before_request(identity.identify)
    limits.attach(app, settings)
    app.before_request(identity.require_identity)
    app.before_request(security.refuse_forgeries)
    app.after_request(security.add_headers)
    deprecation.attach(app)
    oidc.attach(app, settings)
    problems.register(app)
    register_rendering(app)

    for api in (recordings, jobs, items, files, results, events, models, datasets, account):
        app.register_api(api.api)
    app.register_api(news.api)
    app.register_api(job_history.api)
    app.register_api(comparison.api)
    app.register_api(steering.api)
    app.register_api(marks.api)
    app.register_api(uploads.api)
    app.register_api(sources.api)
    for api in (aliases, model_details):
        app.register_api(api.api)
    for api in (trainings, curves, logs, job_files):
        app.register_api(api.api)
    app.register_api(downloads.api)
    for api in (collections, schedules):
        app.register_api(api.api)
    for api in (tokens, users):
        app.register_api(api.api)
    for bp in (account_pages.bp, people_pages.bp, audit_pages.bp):
        app.register_blueprint(bp)
    app.register_blueprint(model_pages.bp)
    health.attach(app)
    for bp in (openapi.bp, sign_in.bp, job_list.bp, new_job.bp, job_page.bp, dataset_pages.bp):
        app.register_blueprint(bp)
    app.register_blueprint(chosen_faces.bp)
    app.register_blueprint(comparison_pages.bp)
    app.register_blueprint(schedule_pages.bp)
    for bp in (training_pages.bp, evaluation_pages.bp):
        app.register_blueprint(bp)
    app.register_api(operating.api)
    app.register_blueprint(operating_pages.bp)
    app.register_api(storage_and_health.api)
    app.register_blueprint(storage_and_health_pages.bp)
    app.register_api(retention.api)
    app.register_blueprint(retention_pages.bp)
    return app
