"""What is asked before a job is made: whether a manifest is good, what is here already, and how long it would take."""

from __future__ import annotations

from dataclasses import asdict, replace

from flask import Response, request

from core.costs import prices_of
from core.errors import Permanent, TooLarge
from core.estimates import estimate
from core.incoming import s3_sources
from core.incoming.manifest import check_manifest
from core.incoming.sources import known_recordings
from core.jobs import too_many
from core.people.quotas import refusal_of
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import Problem
from dashboard.api.source_schemas import (
    Contents,
    EstimateQuery,
    EstimateView,
    KnownView,
    ManifestLine,
    ManifestProblem,
    ManifestQuery,
    ManifestView,
    S3Found,
    S3Next,
    S3Place,
    S3Taken,
)
from dashboard.api.views import cost_view
from dashboard.identity import viewer
from dashboard.permissions import require_submitter
from dashboard.services import services
from dashboard.spoken import estimate_words
from dashboard.translation import said

api = api_blueprint("sources", "Where the recordings of a job come from, and what it would come to.")

_PROBLEMS_TOLD = 1000
MOST_MANIFEST_BYTES = 64 * 2**20


@api.post("/manifests/check", responses={200: ManifestView, 413: Problem})
def check(query: ManifestQuery) -> Response:
    """Check a manifest, sent as the raw body: what it says line by line, and every line that is wrong."""
    data = request.stream.read(MOST_MANIFEST_BYTES + 1)
    if len(data) > MOST_MANIFEST_BYTES:
        raise TooLarge(f"A manifest may have {MOST_MANIFEST_BYTES / 2**20:,.0f} MiB at most. Split it.")
    checked = check_manifest(query.name, data)
    return answer(
        ManifestView(
            lines=[ManifestLine(line=one.number, key=one.key, path=one.path) for one in checked.lines],
            problems=[
                ManifestProblem(line=number, problem=said(words))
                for number, words in checked.problems[:_PROBLEMS_TOLD]
            ],
            problem_count=len(checked.problems),
        )
    )


@api.post("/recordings/check", responses={200: KnownView})
def known(body: Contents) -> Response:
    """Which of up to a thousand recordings you have sent before."""
    with services().database.read() as session:
        return answer(KnownView(known=known_recordings(session, viewer().id, body.recordings)))


@api.get("/estimate", responses={200: EstimateView})
def how_long(query: EstimateQuery) -> Response:
    """How long a job would take, from what workers really did; null where nothing was measured."""
    here = services()
    with here.database.read() as session:
        found = estimate(
            session,
            viewer(),
            model=query.model,
            items=query.items,
            queue=here.settings.queue,
            priority=query.priority,
            prices=prices_of(here.settings),
        )
        most = here.settings.max_items_per_job
        refused: Permanent | None = (
            too_many(query.items, most)
            if query.items > most
            else refusal_of(session, viewer(), items=query.items, size=query.bytes)
        )
    return answer(
        EstimateView(
            **asdict(replace(found, cost=None)) | {"cost": cost_view(found.cost)},
            sentence=estimate_words(found),
            refused=said(refused.message) if refused else None,
            refused_code=refused.code if refused else None,
        )
    )


@api.post("/sources/s3/check", responses={200: S3Found})
def look(body: S3Place) -> Response:
    """What lies at an address in S3, without taking any of it in."""
    require_submitter(viewer())
    here = services()
    place = s3_sources.find_place(body.url, s3_sources.open_places(here.settings))
    return answer(S3Found(url=place.url, **asdict(s3_sources.look(here.store, place, body.wanted))))


@api.post("/sources/s3", responses={200: S3Taken})
def take(body: S3Next) -> Response:
    """Take in the next hundred recordings of an address in S3; answers the items to make a job of."""
    user = viewer()
    require_submitter(user)
    here = services()
    place = s3_sources.find_place(body.url, s3_sources.open_places(here.settings))
    taken = s3_sources.take(
        here.database,
        here.store,
        place,
        owner_id=user.id,
        max_bytes=here.settings.max_upload_bytes,
        after=body.after or "",
        wanted=body.wanted,
    )
    return answer(S3Taken(items=taken.items, left_out=taken.left_out, next=taken.next))
