"""What the API answers, as types. Not for hands: written by `python -m tests.dashboard.answer_types`."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class ASTTask(TypedDict):
    """AST: first its head alone, then, where asked for, the rest."""

    task: Literal["ast"]
    loop: Loop
    fine_tune: Loop | None
    unfreeze: int
    backbone: str | None
    face_encoder: str
    face_decoder: str
    weights: list[Any] | None
    pairing: Pairing
    sizes: dict[str, bool | int | float | str | list[bool] | list[int]]
    augmentation: Augmentation
    compat: Literal["original"] | None


class AddedFiles(TypedDict):
    collection: str
    new: int
    known: int


class AfterTraining(TypedDict):
    """What becomes of the trained model."""

    evaluate: bool
    split: Literal["validation", "test"]
    gate: Gate | None
    promote: bool


class AliasList(TypedDict):
    data: list[AliasView]


class AliasView(TypedDict):
    alias: str
    model: str
    input: Literal["voice", "face"] | None
    moved_at: str
    rolls_back_to: str | None


class Anchors(TypedDict):
    count: int
    after: list[int]


class AuditEntryView(TypedDict):
    id: int
    actor: str
    actor_name: str
    action: str
    subject: str
    details: dict[str, Any]
    at: str


class AuditPage(TypedDict):
    data: list[AuditEntryView]
    next: int | None


class Augmentation(TypedDict):
    """Changes of training samples, drawn anew every time."""

    flip: bool
    crop: bool
    gain_db: float
    noise_db: float | None
    time_masks: int
    time_mask_share: float
    band_masks: int
    band_mask_share: float
    brightness: float


class CheckView(TypedDict):
    name: str
    state: str
    says: str
    milliseconds: float
    facts: dict[str, Any]
    do: str


class Checked(TypedDict):
    ok: bool
    problems: list[ProblemView]
    spec: dict[str, Any] | None


class ChunkView(TypedDict):
    job: str
    job_name: str
    kind: str
    items: int
    done: int
    since: str
    items_per_second: float | None


class CollectionDetails(TypedDict):
    name: str
    files: int
    created_at: str
    links: CollectionLinks
    pairs: int | None
    problem: str | None
    newest: list[str]


class CollectionLinks(TypedDict):
    self: str


class CollectionList(TypedDict):
    data: list[CollectionView]


class CollectionView(TypedDict):
    name: str
    files: int
    created_at: str
    links: CollectionLinks


class ComparedEvaluationsView(TypedDict):
    dataset: str
    split: str
    evaluations: list[Any]
    metrics: list[ComparedMetricView]


class ComparedMetricView(TypedDict):
    name: str
    title: str
    first: dict[str, Any] | None
    second: dict[str, Any] | None
    better: Literal["first", "second", "equal"] | None
    difference: float | None
    low: float | None
    high: float | None
    certain: bool


class ComparisonPage(TypedDict):
    data: list[PairView]
    next: int | None


class ComparisonView(TypedDict):
    first: str
    second: str
    data: list[ComparedEvaluationsView]


class CostView(TypedDict):
    """At the prices of the settings; nobody's bill."""

    work: float | None
    per_thousand: float | None
    storage_a_month: float | None
    currency: str
    sentence: str


class CurveColumns(TypedDict):
    steps: list[int]
    values: list[float | None]


class CurvesView(TypedDict):
    series: dict[str, CurveColumns]
    epochs: EpochColumns
    next: int
    thinned: bool


class DatasetDetails(TypedDict):
    id: str
    label: str
    name: str
    version: int
    sha256: str
    size_bytes: int
    job: str
    summary: dict[str, Any]
    created_at: str
    links: DatasetLinks
    files: list[DatasetFileView]


class DatasetFileView(TypedDict):
    name: str
    size_bytes: int
    sha256: str
    url: str


class DatasetLinks(TypedDict):
    self: str
    html: str
    job: str


class DatasetPage(TypedDict):
    data: list[DatasetView]
    next: str | None


class DatasetView(TypedDict):
    id: str
    label: str
    name: str
    version: int
    sha256: str
    size_bytes: int
    job: str
    summary: dict[str, Any]
    created_at: str
    links: DatasetLinks


class DefaultModelTask(TypedDict):
    """The default model: a pretrained voice encoder, a head, and a morphable face."""

    task: Literal["default"]
    loop: Loop
    latent: int
    hidden: int
    lean_ridge: float
    lean_gain: float
    lean_share: float
    lean_reach: float
    ridge: float
    latent_ridge: float
    distinctness: float
    filled_in: float
    strain_weight: float
    glances: bool


class DeletionView(TypedDict):
    model: str
    deleted: bool
    dry_run: bool
    in_use: list[str]
    files: list[str]
    shared: list[str]
    freed_bytes: int


class EpochColumns(TypedDict):
    steps: list[int]
    epochs: list[float]


class ErasureView(TypedDict):
    user: str
    dry_run: bool
    counts: dict[str, int]
    left: list[str]
    waiting: int
    finished: bool


class ErrorCount(TypedDict):
    code: str
    count: int
    example: str


class ErrorView(TypedDict):
    code: str
    message: str


class EstimateView(TypedDict):
    model: str
    items: int
    items_ahead: int
    others_ahead: int
    workers: int
    items_per_second: float | None
    seconds: float | None
    sentence: str
    cost: CostView | None
    refused: str | None
    refused_code: str | None


class EvaluationOfModel(TypedDict):
    id: str
    dataset: str
    dataset_sha256: str
    split: str
    partner: str | None
    job: str
    conditions_sha256: str
    metrics: dict[str, Any]
    created_at: str


class EvaluationsOfModel(TypedDict):
    data: list[EvaluationOfModel]


class FaceDecoderTask(TypedDict):
    """FaceDecoder: embeddings of faces to landmarks and texture."""

    task: Literal["face_decoder"]
    loop: Loop
    face_encoder: str | None
    landmarks_weight: float
    texture_weight: float
    identity_weight: float
    warp: bool
    sizes: dict[str, bool | int | float | str | list[bool] | list[int]]
    augmentation: Augmentation
    compat: Literal["original"] | None


class FaceLink(TypedDict):
    url: str
    expires_at: str


class FaceRecipe(TypedDict):
    """What is kept of a picture."""

    outputs: list[Literal["picture", "landmarks", "embedding"]]
    crop: Literal["none", "face", "aligned"]
    size: int
    several: Literal["reject", "largest"]
    encoder: str | None


class FireTime(TypedDict):
    at: str
    local: str
    yours: str | None


class GanTask(TypedDict):
    """Conditional GAN on a frozen voice encoder."""

    task: Literal["gan"]
    loop: Loop
    voice_encoder: str
    face_encoder: str | None
    objective: Literal["relativistic", "relativistic_average", "standard", "hinge"]
    identity_weight: float
    r1_weight: float
    condition: Literal["voice", "noise"]
    average: float | None
    discriminator_steps: int
    sizes: dict[str, bool | int | float | str | list[bool] | list[int]]
    discriminator_sizes: dict[str, bool | int | float | str | list[bool] | list[int]]
    augmentation: Augmentation


class Gate(TypedDict):
    """What a new version must not be worse in than the one it would replace, by more than its interval."""

    metric: str
    alias: str


class GoingList(TypedDict):
    data: list[GoingView]
    next: str | None


class GoingView(TypedDict):
    kind: Kept
    jobs: list[str]
    job_count: int
    count: int
    bytes: int
    shared: int
    finished: bool


class Gone(TypedDict):
    removed: str


class HeadlineView(TypedDict):
    name: str
    title: str
    value: float
    low: float | None
    high: float | None
    dataset: str
    split: str


class HealthView(TypedDict):
    state: str
    at: str
    checks: list[CheckView]
    versions: dict[str, str]


class ItemDetails(TypedDict):
    id: int
    position: int
    key: str
    name: str
    state: ItemState
    error: ErrorView | None
    attempts: int
    seconds: float | None
    duration_seconds: float | None
    finished_at: str | None
    recording: str | None
    face_url: str | None
    thumbnail_url: str | None
    spectrogram_url: str | None
    recording_url: str | None
    mark: MarkView | None
    face_name: str | None
    origin: OriginView | None
    landmarks_url: str | None


class ItemIds(TypedDict):
    data: list[int]


class ItemPage(TypedDict):
    data: list[ItemView]
    next: int | None


ItemState = Literal["pending", "leased", "done", "cached", "failed", "skipped", "cancelled"]


class ItemView(TypedDict):
    id: int
    position: int
    key: str
    name: str
    state: ItemState
    error: ErrorView | None
    attempts: int
    seconds: float | None
    duration_seconds: float | None
    finished_at: str | None
    recording: str | None
    face_url: str | None
    thumbnail_url: str | None
    spectrogram_url: str | None
    recording_url: str | None
    mark: MarkView | None
    face_name: str | None


class JobFileList(TypedDict):
    data: list[JobFileView]


class JobFileView(TypedDict):
    name: str
    kind: str
    step: int | None
    size_bytes: int
    sha256: str
    media_type: str
    created_at: str
    url: str


class JobLinks(TypedDict):
    self: str
    html: str
    items: str
    events: str
    results: str
    faces: str


class JobMoveView(TypedDict):
    id: int
    old: str | None
    new: str
    actor: str
    reason: str | None
    at: str


class JobNoteView(TypedDict):
    id: str
    delivered: bool
    delivered_at: str | None
    attempts: int
    next_attempt_at: str | None
    last_error: str | None
    created_at: str


class JobPage(TypedDict):
    data: list[JobView]
    next: str | None


JobState = Literal[
    "validating",
    "queued",
    "running",
    "finalizing",
    "paused",
    "cancelling",
    "completed",
    "completed_with_errors",
    "cancelled",
    "failed",
    "dead",
    "rejected",
]


class JobView(TypedDict):
    id: str
    kind: str
    name: str
    state: JobState
    model: str
    dataset: str | None
    input: Literal["voice", "face"] | None
    priority: int
    owner: str
    labels: dict[str, str]
    rerun_of: str | None
    request_counts: RequestCounts
    rate_per_second: float | None
    eta_seconds: float | None
    created_at: str
    queued_at: str | None
    started_at: str | None
    paused_at: str | None
    cancel_requested_at: str | None
    finalizing_at: str | None
    finished_at: str | None
    purged_at: str | None
    error: ErrorView | None
    errors: list[ErrorCount] | None
    gpu_seconds: float | None
    cpu_seconds: float | None
    cost: CostView | None
    links: JobLinks


Kept = Literal["faces", "recordings", "checkpoints", "logs"]


class KnownView(TypedDict):
    known: list[str]


class LandmarksView(TypedDict):
    order: Literal["ibug68"]
    points: list[list[float]]
    width: int
    height: int


class LimitView(TypedDict):
    limit: str
    most: int | None
    used: int | None
    own: bool


class LineageView(TypedDict):
    model: str
    job: str | None
    dataset: str | None
    parent: RelatedModel | None
    children: list[RelatedModel]
    facts: dict[str, Any] | None


class LogLineView(TypedDict):
    id: int
    level: str
    text: str
    at: str


class LogView(TypedDict):
    data: list[LogLineView]
    next: int


class Loop(TypedDict):
    """One phase of a training."""

    epochs: int
    max_steps: int | None
    batch: int
    optimiser: Optimiser
    schedule: Schedule
    clip_norm: float | None
    patience: int | None


class Machine(TypedDict):
    """How it is run."""

    seed: int
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    processes: int
    hosts: int
    loader_threads: int
    deterministic: bool
    checkpoint_minutes: float
    validate_epochs: int
    sample_pictures: int
    log_steps: int
    wall_hours: float | None
    memory_gib: float | None


class ManifestLine(TypedDict):
    line: int
    key: str
    path: str


class ManifestProblem(TypedDict):
    line: int
    problem: str


class ManifestView(TypedDict):
    lines: list[ManifestLine]
    problems: list[ManifestProblem]
    problem_count: int


class MarkView(TypedDict):
    favourite: bool
    note: str
    by: str
    at: str


class Marked(TypedDict):
    marked: int


class MatchingTask(TypedDict):
    """Speech encoder and face encoder that find each other."""

    task: Literal["matching"]
    loop: Loop
    negatives: int | None
    mix: Literal["any", "balanced", "same"]
    group: str | None
    distance_weight: float
    features: Literal["raw", "pretrained"]
    voice_encoder: str | None
    face_encoder: str | None
    clip_seconds: float
    sizes: dict[str, bool | int | float | str | list[bool] | list[int]]
    face_sizes: dict[str, bool | int | float | str | list[bool] | list[int]]
    augmentation: Augmentation


class Me(TypedDict):
    id: str
    name: str
    role: str
    may_submit: bool
    may_change_models: bool
    max_upload_bytes: int
    max_model_bytes: int
    max_items_per_job: int


class ModelDetails(TypedDict):
    label: str
    name: str
    version: int
    kind: str
    input: Literal["voice", "face"] | None
    aliases: list[str]
    size_bytes: int
    created_at: str
    job: str | None
    headline: HeadlineView | None
    sha256: str
    config: dict[str, Any]
    files: list[ModelFileView]


class ModelFileSent(TypedDict):
    sha256: str
    size_bytes: int


class ModelFileView(TypedDict):
    name: str
    size_bytes: int
    sha256: str
    url: str


class ModelList(TypedDict):
    data: list[ModelView]


class ModelView(TypedDict):
    label: str
    name: str
    version: int
    kind: str
    input: Literal["voice", "face"] | None
    aliases: list[str]
    size_bytes: int
    created_at: str
    job: str | None
    headline: HeadlineView | None


class MovePage(TypedDict):
    data: list[MoveView]
    next: int | None


class MoveView(TypedDict):
    id: int
    alias: str
    kind: Literal["create", "promote", "rollback"]
    before: str | None
    after: str
    actor: str
    actor_name: str
    reason: str
    at: str


class NewItem(TypedDict):
    """One line of a job: a recording that is already here, or the reason why it could not be sent."""

    key: str
    name: str
    recording: str | None
    error_code: str | None
    error_message: str | None


class NewJobView(TypedDict):
    id: str
    kind: str
    name: str
    state: JobState
    model: str
    dataset: str | None
    input: Literal["voice", "face"] | None
    priority: int
    owner: str
    labels: dict[str, str]
    rerun_of: str | None
    request_counts: RequestCounts
    rate_per_second: float | None
    eta_seconds: float | None
    created_at: str
    queued_at: str | None
    started_at: str | None
    paused_at: str | None
    cancel_requested_at: str | None
    finalizing_at: str | None
    finished_at: str | None
    purged_at: str | None
    error: ErrorView | None
    errors: list[ErrorCount] | None
    gpu_seconds: float | None
    cpu_seconds: float | None
    cost: CostView | None
    links: JobLinks
    webhook_secret: str | None


class NewTokenView(TypedDict):
    id: str
    name: str
    scope: Scope
    created_at: str
    expires_at: str | None
    used_at: str | None
    token: str


class NewUserView(TypedDict):
    id: str
    name: str
    role: Literal["viewer", "submitter", "operator", "admin"]
    created_at: str
    disabled_at: str | None
    locked_until: str | None
    has_password: bool
    link: str


class NoteView(TypedDict):
    """How a webhook was told about a run."""

    delivered_at: str | None
    attempts: int
    next_attempt_at: str | None
    last_error: str | None


class Optimiser(TypedDict):
    """How weights follow gradients."""

    name: Literal["adam", "adamw", "rmsprop", "sgd"]
    learning_rate: float
    betas: list[Any]
    eps: float
    weight_decay: float


class OriginView(TypedDict):
    model: str
    seed: int
    drawn_at: str
    seconds: float
    job_id: str | None
    job_name: str | None
    device: str | None


class PairView(TypedDict):
    first: ItemView
    second: ItemView
    same_picture: bool


class Pairing(TypedDict):
    """Which voice goes with which face of a person."""

    rule: Literal["all_to_all", "one_to_one", "all_to_one"]
    most: int | None
    face: Literal["first", "mean", "random"]


class PartLink(TypedDict):
    number: int
    url: str


class PartLinks(TypedDict):
    links: list[PartLink]
    seconds: int


class PartnerList(TypedDict):
    data: list[JobView]


class PresetList(TypedDict):
    data: list[PresetView]


class PresetView(TypedDict):
    name: str
    title: str
    sentence: str
    recipe: dict[str, Any]
    machine: dict[str, Any]


class Preview(TypedDict):
    words: str
    next: list[FireTime]


class ProblemView(TypedDict):
    field: str
    message: str


class ProgressView(TypedDict):
    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int
    learning_rate: float | None
    samples_per_second: float | None
    memory_bytes: int | None
    eta_seconds: float | None
    resumed_at_step: int | None
    doing: str
    at: str


class PurgedView(TypedDict):
    counts: dict[str, int]
    bytes: dict[str, int]
    finished: bool


class QueueList(TypedDict):
    data: list[QueueView]
    next: str | None


class QueueView(TypedDict):
    name: str
    items: int
    leased: int
    jobs: int
    oldest_wait_seconds: float | None
    seconds_to_empty: float | None
    workers: int
    draining: int
    waiting: list[WaitingView]


class QuotaView(TypedDict):
    data: list[LimitView]


class Recipe(TypedDict):
    """Everything a dataset version depends on besides its inputs."""

    voice: VoiceRecipe | None
    face: FaceRecipe | None
    split: SplitRecipe
    both_sides: bool
    shard_entries: int


class RecordingView(TypedDict):
    recording: str
    size_bytes: int
    media_type: str


class RelatedModel(TypedDict):
    label: str
    deleted: bool


class RequestCounts(TypedDict):
    total: int
    pending: int
    leased: int
    done: int
    cached: int
    failed: int
    skipped: int
    cancelled: int


class RerunView(TypedDict):
    model: str
    which: str
    items: int
    known: int
    job: str | None
    refused: str | None


class Retraining(TypedDict):
    """Prepare what is new, train on it, and let the gate decide."""

    source: Source
    dataset: str
    prepare: Recipe | None
    training: Training
    warm_start: bool


class Retried(TypedDict):
    retried: int
    job: JobView


class RuleList(TypedDict):
    data: list[RuleView]
    next: str | None


class RuleView(TypedDict):
    kind: Kept
    scope: str
    days: int | None
    changed_by: str
    changed_at: str


RunState = Literal[
    "queued", "preparing", "training", "promoted", "kept", "nothing_new", "failed", "cancelled", "skipped"
]


class RunView(TypedDict):
    id: str
    fire_time: str
    why: Literal["cron", "pairs", "by_hand"]
    state: RunState
    sentence: str
    prepare_job: str | None
    train_job: str | None
    pairs: int
    result: dict[str, Any]
    created_at: str
    ended_at: str | None
    note: NoteView | None


class S3Found(TypedDict):
    url: str
    recordings: int
    left_out: int
    size_bytes: int
    more: bool


class S3Taken(TypedDict):
    items: list[NewItem]
    left_out: int
    next: str | None


class Schedule(TypedDict):
    """How the learning rate goes over a phase."""

    kind: Literal["constant", "cosine", "exponential", "steps"]
    warmup_steps: int
    final: float
    every_steps: int
    factor: float


class ScheduleDetails(TypedDict):
    id: str
    name: str
    owner: str
    when: str
    cron: str | None
    time_zone: str
    new_pairs: int | None
    template: Retraining
    catch_up: Literal["none", "last", "all"]
    overlap: Literal["skip", "queue", "replace"]
    webhook_url: str | None
    paused_at: str | None
    last_fired_at: str | None
    next: list[FireTime]
    last_run: RunView | None
    created_at: str
    links: ScheduleLinks
    runs: list[RunView]
    next_page: str | None


class ScheduleLinks(TypedDict):
    self: str
    html: str


class ScheduleList(TypedDict):
    data: list[ScheduleView]


class ScheduleMade(TypedDict):
    id: str
    name: str
    owner: str
    when: str
    cron: str | None
    time_zone: str
    new_pairs: int | None
    template: Retraining
    catch_up: Literal["none", "last", "all"]
    overlap: Literal["skip", "queue", "replace"]
    webhook_url: str | None
    paused_at: str | None
    last_fired_at: str | None
    next: list[FireTime]
    last_run: RunView | None
    created_at: str
    links: ScheduleLinks
    webhook_secret: str | None


class ScheduleView(TypedDict):
    id: str
    name: str
    owner: str
    when: str
    cron: str | None
    time_zone: str
    new_pairs: int | None
    template: Retraining
    catch_up: Literal["none", "last", "all"]
    overlap: Literal["skip", "queue", "replace"]
    webhook_url: str | None
    paused_at: str | None
    last_fired_at: str | None
    next: list[FireTime]
    last_run: RunView | None
    created_at: str
    links: ScheduleLinks


Scope = Literal["read", "submit", "operate", "admin"]


class SecretView(TypedDict):
    webhook_secret: str


class SignInLink(TypedDict):
    link: str


class Source(TypedDict):
    """A collection, and how the files in it lie."""

    collection: str
    layout: str
    columns: dict[str, str]
    faces: Literal["masked", "origin"]
    manifest: str | None


class SplitRecipe(TypedDict):
    """How people are divided."""

    train: float
    validation: float
    test: float
    by: list[str]
    seed: int
    keep: bool


class SteeredList(TypedDict):
    data: list[SteeredView]


class SteeredView(TypedDict):
    id: str
    job: JobView | None
    error: ErrorView | None


class StorageView(TypedDict):
    at: str
    bytes: int
    data: list[UseView]
    next: str | None


class ThroughputView(TypedDict):
    start: str | None
    seconds: float
    counts: list[float]


class TimelineView(TypedDict):
    data: list[JobMoveView]


class TokenList(TypedDict):
    data: list[TokenView]


class TokenView(TypedDict):
    id: str
    name: str
    scope: Scope
    created_at: str
    expires_at: str | None
    used_at: str | None


class Training(TypedDict):
    """A `TrainSpec` without its dataset and parent, which every run finds for itself."""

    model: str
    preset: str | None
    recipe: FaceDecoderTask | VEConvTask | ASTTask | MatchingTask | GanTask | DefaultModelTask
    machine: Machine
    after: AfterTraining


class TrainingView(TypedDict):
    job: str
    kind: str
    state: JobState
    spec: dict[str, Any]
    progress: ProgressView | None
    result: dict[str, Any] | None
    models: list[str]
    evaluations: list[str]


class UnpackedView(TypedDict):
    items: list[NewItem]
    failed: int
    left_out: int


class UploadId(TypedDict):
    id: str


class UploadView(TypedDict):
    id: str
    name: str
    size_bytes: int
    part_bytes: int
    parts: int
    sent: list[int]
    direct: bool
    recording: str | None
    created_at: str
    expires_at: str
    finished_at: str | None


class UseView(TypedDict):
    kind: str
    count: int
    bytes: int


class UserPage(TypedDict):
    data: list[UserView]
    next: str | None


class UserView(TypedDict):
    id: str
    name: str
    role: Literal["viewer", "submitter", "operator", "admin"]
    created_at: str
    disabled_at: str | None
    locked_until: str | None
    has_password: bool


class UtilisationView(TypedDict):
    """What the worker measured with its last heartbeat; what it could not measure is null."""

    device_name: str | None
    cpu_percent: float | None
    memory_bytes: int | None
    gpu_percent: float | None
    gpu_memory_bytes: int | None
    gpu_memory_total_bytes: int | None
    gpu_celsius: float | None


class VEConvTask(TypedDict):
    """VE_conv: spectrograms to embeddings of faces."""

    task: Literal["ve_conv"]
    loop: Loop
    face_encoder: str
    face_decoder: str
    weights: list[Any] | None
    pairing: Pairing
    sizes: dict[str, bool | int | float | str | list[bool] | list[int]]
    augmentation: Augmentation
    compat: Literal["original"] | None


class VoiceRecipe(TypedDict):
    """What is kept of a recording."""

    features: list[Literal["ve_conv", "ast", "waveform"]]
    waveform_seconds: float
    max_clips: int | None


class WaitingView(TypedDict):
    job: str
    name: str
    owner: str
    state: str
    priority: int
    pending: int
    queued_at: str | None


class WebhookView(TypedDict):
    url: str | None
    notes: list[JobNoteView]


class WorkerList(TypedDict):
    data: list[WorkerView]
    next: str | None


class WorkerView(TypedDict):
    id: str
    host: str
    pid: int
    queue: str
    device: str
    state: str
    doing: str
    items_per_second: float | None
    chunks: list[ChunkView]
    utilisation: UtilisationView
    started_at: str
    seen_at: str
    draining_at: str | None
    ended_at: str | None
