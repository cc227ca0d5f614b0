"""Collections: named sets of files that grow. What schedules prepare their datasets from."""

from __future__ import annotations

from flask import Response, url_for
from sqlalchemy import select

from core.datasets.collection_planning import count_pairs
from core.datasets.collections import (
    add_files,
    count_files,
    ensure_collection,
    files_of,
    get_collection,
    list_collections,
)
from core.errors import InvalidRequest
from core.ledger.schedule_tables import Collection, CollectionFile
from core.schedules.specs import Source
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schedule_schemas import (
    AddedFiles,
    CollectionDetails,
    CollectionLinks,
    CollectionList,
    CollectionPath,
    CollectionQuery,
    CollectionView,
    NewCollectionFiles,
    NewCollectionPath,
)
from dashboard.identity import viewer
from dashboard.permissions import may_operate, require_submitter
from dashboard.services import services

api = api_blueprint("collections", "Recordings and pictures that are added to over time.")

_NEWEST = 20


@api.get("/collections", responses={200: CollectionList})
def index() -> Response:
    """The collections you may see, by name."""
    with services().database.read() as session:
        data = [_view(collection, files) for collection, files in list_collections(session, viewer())]
    return answer(CollectionList(data=data))


@api.get("/collections/<name>", responses={200: CollectionDetails})
def show(path: CollectionPath, query: CollectionQuery) -> Response:
    """One collection: how many files and pairs it has, and what came last."""
    here = services()
    with here.database.read() as session:
        collection = get_collection(session, viewer(), path.name)
        files = list(files_of(session, collection.id))
        newest = session.scalars(
            select(CollectionFile.path)
            .where(CollectionFile.collection_id == collection.id)
            .order_by(CollectionFile.id.desc())
            .limit(_NEWEST)
        ).all()
    pairs, problem = None, None
    try:
        pairs = count_pairs(here.store, files, Source(collection=collection.name, layout=query.layout))
    except InvalidRequest as error:
        problem = error.message
    view = _view(collection, len(files))
    return answer(
        CollectionDetails(**view.model_dump(), pairs=pairs, problem=problem, newest=list(newest)), 200
    )


@api.put("/collections/<name>", responses={200: CollectionView})
def create(path: NewCollectionPath) -> Response:
    """Make an empty collection; one of yours that is there already stays as it is."""
    user = viewer()
    require_submitter(user)
    with services().database.write() as session:
        collection = ensure_collection(session, user, path.name, may_change_all=may_operate(user))
        view = _view(collection, count_files(session, collection.id))
    return answer(view)


@api.post("/collections/<name>/files", responses={200: AddedFiles})
def add(path: NewCollectionPath, body: NewCollectionFiles) -> Response:
    """Add files that were sent before; those that are there already are left alone.

    A collection that is not there is made. A path that is there with another content is refused, and nothing is added.
    """
    user = viewer()
    require_submitter(user)
    files = {file.path: file.recording for file in body.files}
    if len(files) < len(body.files):
        raise InvalidRequest("A path occurs more than once.")
    with services().database.write() as session:
        collection = ensure_collection(session, user, path.name, may_change_all=may_operate(user))
        added = add_files(session, user, collection, files)
    return answer(AddedFiles(collection=collection.name, new=added.new, known=added.known))


def _view(collection: Collection, files: int) -> CollectionView:
    return CollectionView(
        name=collection.name,
        files=files,
        created_at=collection.created_at,
        links=CollectionLinks(self=url_for("collections.show", name=collection.name)),
    )
