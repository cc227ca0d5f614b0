"""A place in which everything exists that a route may be asked about, and everybody who may ask."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Select, select

from core.claims.workers import register_worker
from core.keeping.rules import Kept, set_rule
from core.ledger.mark_tables import FaceMark
from core.ledger.tables import DatasetVersion, Item, Job, Secret, User
from core.ledger.upload_tables import Upload
from core.people.accounts import Role, create_user, issue_token
from core.people.tokens import Scope
from core.states import JobState
from core.training.specs import EvaluateSpec, TrainSpec
from tests.core.models.registry_place import SIZES, Registry
from tests.dashboard.access_bodies import archive
from tests.dashboard.conftest import SOUND, Place, Script
from tests.factories import Ledger
from tests.programs import Program

# Who asks, in the order of the columns of the table: nobody, five people by a token that may all that they may,
# and the admin by tokens of narrower scopes.
ASKERS: dict[str, tuple[str, Role, Scope | None] | None] = {
    "nobody": None,
    "viewer": ("vera", Role.VIEWER, None),
    "other": ("bob", Role.SUBMITTER, None),
    "owner": ("ada", Role.SUBMITTER, None),
    "operator": ("olga", Role.OPERATOR, None),
    "admin": ("root", Role.ADMIN, None),
    "reads": ("root", Role.ADMIN, Scope.READ),
    "submits": ("root", Role.ADMIN, Scope.SUBMIT),
}
TEMPLATE = {
    "source": {"collection": "folk"},
    "training": {"preset": "matching-small", "model": "matcher"},
}
# Whose ids another submitter must not come across.
_ADAS = {
    "job",
    "queued",
    "paused",
    "failed",
    "program",
    "upload",
    "sent",
    "zip",
    "collection",
    "dataset",
    "token",
    "evaluation",
}
_NAMED = re.compile(r"\{(\w+)\}")


def scoped(place: Place, name: str, role: Role, scope: Scope) -> Script:
    """Somebody with a token of a narrower scope."""
    return script_of(place, place.user(name, role), scope)


def script_of(place: Place, user: User, scope: Scope | None) -> Script:
    name = scope.value if scope else "all"
    with place.database.write() as session:
        plain = issue_token(session, user, name)
        token = session.query(Secret).filter_by(user_id=user.id, name=name, revoked_at=None).one()
        token.scopes = [scope.value] if scope else None
    return Script(place.app, plain)


class World:
    """Makes what the paths and bodies of the table name, such as `{paused}`: ada's, unless it belongs to nobody.

    One of each is enough until a request has changed it: see `forget`.
    """

    def __init__(self, place: Place, folder: Path) -> None:
        self.place = place
        self.askers = {asker: self._asker(asker) for asker in ASKERS}
        self.ada, self.olga = self.askers["owner"], self.askers["operator"]
        self._ledger = Ledger(place.database, place.users)
        self._registry = Registry(self._ledger, place.store, folder)
        self._number = itertools.count(1)
        self.of_ada: set[str] = set()
        self._given: dict[str, str] = self._drawn()
        self.of_ada.add(self._given["job"])
        self._networks()

    def fill(self, written: Any) -> Any:
        """Puts ids in the place of names in a path or in a body."""
        match written:
            case "{item:number}":
                return int(self._id("item"))
            case str():
                return _NAMED.sub(lambda found: self._id(found[1]), written)
            case dict():
                return {name: self.fill(value) for name, value in written.items()}
            case list():
                return [self.fill(value) for value in written]
        return written

    def forget(self) -> None:
        """After something was changed: the next request is given new things. What has a face stays: it is dear."""
        self._given = {name: self._given[name] for name in ("job", "item")}

    def state_of_ada(self) -> list[str]:
        """All that somebody could change who may not: jobs, their items and marks, uploads, datasets, and tokens."""
        ada = self.place.user("ada").id
        jobs = select(Job.id).where(Job.owner_id == ada)
        queries: tuple[Select[Any], ...] = (
            select(*Job.__table__.columns).where(Job.owner_id == ada).order_by(Job.id),
            select(Item.id, Item.state).where(Item.job_id.in_(jobs)).order_by(Item.id),
            select(*FaceMark.__table__.columns).where(FaceMark.job_id.in_(jobs)),
            select(*Upload.__table__.columns).where(Upload.owner_id == ada).order_by(Upload.id),
            select(*DatasetVersion.__table__.columns).where(DatasetVersion.owner_id == ada),
            select(Secret.id, Secret.scopes, Secret.revoked_at)
            .where(Secret.user_id == ada)
            .order_by(Secret.id),
            select(User.role, User.password_hash, User.disabled_at).where(User.id == ada),
        )
        with self.place.database.read() as session:
            return [repr(row) for query in queries for row in session.execute(query)]

    def renewed(self, asker: str) -> Script:
        """Another user of the same role and scope, for what would change the asker's own account."""
        if (told := ASKERS[asker]) is None:
            return self.askers[asker]
        _, role, scope = told
        with self.place.database.write() as session:
            user = create_user(session, f"{asker} {next(self._number)}", role)
        return script_of(self.place, user, scope)

    def _asker(self, asker: str) -> Script:
        if (told := ASKERS[asker]) is None:
            return Script(self.place.app, "vs_nobody-has-this")
        name, role, scope = told
        return script_of(self.place, self.place.user(name, role), scope)

    def _id(self, name: str) -> str:
        if name not in self._given:
            made = self._makers()[name]()
            # What belongs together comes together, such as `{run_of}` and `{run}`.
            found = made if isinstance(made, dict) else {name: made}
            self._given.update(found)
            self.of_ada |= {one for named, one in found.items() if named in _ADAS}
        return self._given[name]

    def _makers(self) -> dict[str, Callable[[], str | dict[str, str]]]:
        return {
            "new": lambda: f"new-{next(self._number)}",
            "queued": self._queued,
            "paused": self._paused,
            "failed": self._failed,
            "program": self._program,
            "recording": lambda: self.ada.send(self._sound()),
            "upload": lambda: self._upload(),
            "sent": lambda: self._sent(b"fLaC"),
            "zip": lambda: self._sent(archive(), archive=True),
            "collection": self._collection,
            "dataset": self._dataset,
            "model": lambda: self._model().label,
            "alias": self._alias,
            "schedule": self._schedule,
            "still": self._still,
            "run_of": self._run,
            "evaluation": self._evaluation,
            "worker": self._worker,
            "drained": self._drained,
            "token": self._token,
            "user": self._user,
            "config": self._model_files,
            "rule": self._rule,
        }

    def _sound(self) -> bytes:
        return SOUND + next(self._number).to_bytes(4)

    def _queued(self) -> str:
        return str(self.ada.submit([{"key": "a", "recording": self.ada.send(self._sound())}]).json["id"])

    def _drawn(self) -> dict[str, str]:
        job = self._queued()
        self.place.worker().run()
        item = self.ada.get(f"/api/v1/jobs/{job}/items").json["data"][0]
        return {"job": job, "item": str(item["id"])}

    def _paused(self) -> str:
        job = self._queued()
        assert self.ada.post(f"/api/v1/jobs/{job}/pause").status_code == 200
        return job

    def _failed(self) -> str:
        job = self._queued()
        Program(self.place.database, job, "").ends(JobState.FAILED)
        return job

    def _program(self) -> dict[str, str]:
        """A training of ada's (from when she was an operator) that has come to its end."""
        program = self._trained()
        return {"program": program.job_id, "left": "history.csv"}

    def _trained(self) -> Program:
        spec = TrainSpec.model_validate(
            {"model": "voices", "dataset": self._dataset(), "recipe": {"task": "ve_conv"}}
        )
        program = self._ledger.program(spec, owner="ada")
        program.leaves("history.csv", "history", b"step", "text/csv", store=self.place.store)
        program.ends(JobState.COMPLETED)
        return program

    def _evaluation(self) -> str:
        model, dataset = self._model(), self._dataset_version()
        spec = EvaluateSpec.model_validate({"model": model.label, "dataset": dataset.label})
        return self._ledger.evaluation(self._ledger.program(spec), model, dataset, {})

    def _upload(self, size: int = 4, **more: Any) -> str:
        mark = str(next(self._number))
        body = {"name": "a.flac", "size_bytes": size, "fingerprint": mark, **more}
        return str(self.ada.post("/api/v1/uploads", json=body).json["id"])

    def _sent(self, content: bytes, **more: Any) -> str:
        upload = self._upload(len(content), **more)
        assert self.ada.ask("PUT", f"/api/v1/uploads/{upload}/parts/1", data=content).status_code == 200
        return upload

    def _collection(self) -> str:
        name = f"folk-{next(self._number)}"
        assert self.ada.ask("PUT", f"/api/v1/collections/{name}").status_code == 200
        return name

    def _dataset(self) -> str:
        return self._dataset_version().label

    def _dataset_version(self) -> DatasetVersion:
        made = self._ledger.dataset(f"people-{next(self._number)}")
        key, content = f"datasets/{made.id}/dataset.json", b"{}"
        self.place.store.put(key, content, "application/json")
        with self.place.database.write() as session:
            session.get_one(DatasetVersion, made.id).files = [
                {
                    "name": "dataset.json",
                    "key": key,
                    "size_bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
            ]
        return made

    def _model(self) -> Any:
        number = next(self._number)
        return self._registry.model(f"drawer-{number}", f"weights {number}".encode())

    def _networks(self) -> None:
        self._registry.halves()
        for kind, part, hears in (
            ("vgg_face", "encoder", "face"),
            ("ve_conv", "encoder", "voice"),
            ("face_decoder", "decoder", None),
        ):
            self._registry.model(kind, kind.encode(), kind=kind, part=part, input=hears, config=SIZES)
        people = {
            f"p{number}/{file}": self.olga.send(f"{number}/{file}".encode())
            for number in range(3)
            for file in ("voice.wav", "face.png")
        }
        files = [{"path": path, "recording": sha256} for path, sha256 in people.items()]
        answer = self.olga.post("/api/v1/collections/folk/files", json={"files": files})
        assert answer.status_code == 200, answer.text

    def _model_files(self) -> dict[str, str]:
        """What a model is made of, sent and not registered."""
        weights = f"weights {next(self._number)}".encode()
        config = {"kind": "speech_to_face", "weights_sha256": hashlib.sha256(weights).hexdigest()}
        sent = {"config": json.dumps(config).encode(), "weights": weights}
        return {name: self._send_model_file(content) for name, content in sent.items()}

    def _send_model_file(self, content: bytes) -> str:
        return str(self.olga.ask("PUT", "/api/v1/models/files", data=content).json["sha256"])

    def _alias(self) -> dict[str, str]:
        """An alias that can be moved back, and where it stands."""
        name, labels = f"best-{next(self._number)}", [self._model().label for _ in range(2)]
        for label in labels:
            answer = self.olga.post(f"/api/v1/models/{label}/promote", json={"alias": name})
            assert answer.status_code == 200, answer.text
        return {"alias": name, "at": labels[1]}

    def _schedule(self) -> str:
        name = f"weekly-{next(self._number)}"
        body = {
            "name": name,
            "cron": "30 2 * * *",
            "template": TEMPLATE,
            "webhook_url": "http://127.0.0.1:9/hook",
        }
        answer = self.olga.post("/api/v1/schedules", json=body)
        assert answer.status_code == 201, answer.text
        return name

    def _still(self) -> str:
        name = self._schedule()
        assert self.olga.post(f"/api/v1/schedules/{name}/pause").status_code == 200
        return name

    def _run(self) -> dict[str, str]:
        name = self._schedule()
        answer = self.olga.post(f"/api/v1/schedules/{name}/run", json={"anyway": True})
        assert answer.status_code == 201, answer.text
        return {"run_of": name, "run": str(answer.json["id"])}

    def _worker(self) -> str:
        with self.place.database.write() as session:
            return register_worker(session, queue="gpu", device="cpu")

    def _drained(self) -> str:
        worker = self._worker()
        assert self.olga.post(f"/api/v1/workers/{worker}/drain").status_code == 200
        return worker

    def _token(self) -> str:
        body = {"name": f"token {next(self._number)}", "scope": "read"}
        return str(self.ada.post("/api/v1/tokens", json=body).json["id"])

    def _user(self) -> str:
        with self.place.database.write() as session:
            return create_user(session, f"user {next(self._number)}", Role.SUBMITTER).id

    def _rule(self) -> str:
        with self.place.database.write() as session:
            actor = self.place.user("ada").id
            return set_rule(session, kind=Kept.CHECKPOINTS, days=30, actor=actor).kind
