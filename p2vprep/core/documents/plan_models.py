"""The shape of the plan document, checked when one is read, and how it becomes a plan again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from p2vprep.core.documents.first_boot import from_plain, kind_of
from p2vprep.core.model import (
    Change,
    ConfigureInterface,
    FileChange,
    FileState,
    FirstBootItem,
    Guest,
    Hazard,
    HiveState,
    KeyChange,
    OnlineDisks,
    Plan,
    RemoveDevice,
    ResetNetwork,
    RestoreService,
    RestoreValue,
    Role,
    RunCommands,
    RunScript,
    Severity,
    Skip,
    TuneNetwork,
    ValueChange,
    WindowsVersion,
)
from p2vprep.core.values import Data
from p2vprep.errors import DocumentError


class Part(BaseModel):
    """A part of the document: unknown keys are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _as_data(plain: Any) -> Any:
    if plain is None:
        return None
    try:
        return Data.from_json(plain)
    except DocumentError as problem:
        raise ValueError(problem.message) from problem


def _is_data(found: Any) -> Any:
    if found is None or isinstance(found, Data):
        return found
    raise ValueError("is not a registry value")


Held = Annotated[Any, BeforeValidator(_as_data), AfterValidator(_is_data)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class VersionModel(Part):
    major: Count
    minor: Count
    build: Count
    known: bool
    text: str


class GuestModel(Part):
    product: str
    version: VersionModel
    role: Literal["client", "server", "domain-controller", "unknown"]
    architecture: Literal["x86", "x64", "arm64", "ia64", "unknown"]
    installation_type: str
    computer_name: str
    system_root: str
    domain_member: bool | None

    def guest(self) -> Guest:
        version = self.version
        return Guest(
            product=self.product,
            version=WindowsVersion(version.major, version.minor, version.build, version.known),
            role=Role(self.role),
            architecture=self.architecture,
            installation_type=self.installation_type,
            computer_name=self.computer_name,
            system_root=self.system_root,
            domain_member=self.domain_member,
        )


class HiveModel(Part):
    name: str
    path: str
    primary: Sha256
    recovered: Sha256
    dirty: bool
    logs: dict[str, Sha256]
    replayed_pages: Count
    replayed_from: list[str]

    def state(self) -> HiveState:
        fields = self.model_dump() | {"replayed_from": tuple(self.replayed_from)}
        return HiveState(**fields)


class FileStateModel(Part):
    sha256: Sha256
    size: Count

    def state(self) -> FileState:
        return FileState(self.sha256, self.size)


class ValueChangeModel(Part):
    kind: Literal["value"]
    hive: str
    key: str
    name: str
    before: Held
    after: Held
    rule: str
    why: str

    def change(self) -> Change:
        return ValueChange(self.hive, self.key, self.name, self.before, self.after, self.rule, self.why)


class KeyMark(Part):
    type: Literal["key"]
    data: None


class KeyChangeModel(Part):
    kind: Literal["key"]
    hive: str
    key: str
    name: None
    before: KeyMark | None
    after: KeyMark | None
    rule: str
    why: str

    def change(self) -> Change:
        return KeyChange(
            self.hive, self.key, self.before is not None, self.after is not None, self.rule, self.why
        )


class FileChangeModel(Part):
    kind: Literal["file"]
    path: str
    before: FileStateModel | None
    after: FileStateModel | None
    sha256: Sha256 | None
    rule: str
    why: str
    locked: bool

    @model_validator(mode="after")
    def _one_digest(self) -> FileChangeModel:
        if self.sha256 != (None if self.after is None else self.after.sha256):
            raise ValueError("sha256 is not that of after")
        return self

    def change(self) -> Change:
        return FileChange(
            self.path,
            None if self.before is None else self.before.state(),
            None if self.after is None else self.after.state(),
            self.rule,
            self.why,
            locked=self.locked,
        )


ChangeModel = Annotated[ValueChangeModel | KeyChangeModel | FileChangeModel, Field(discriminator="kind")]


class HazardModel(Part):
    code: str
    severity: Severity
    message: str
    evidence: list[str]
    cure: str
    liftable: bool

    def hazard(self) -> Hazard:
        return Hazard(
            self.code, self.severity, self.message, tuple(self.evidence), self.cure, liftable=self.liftable
        )


class SkipModel(Part):
    rule: str
    subject: str
    reason: str


class RestoreServiceModel(Part):
    kind: Literal["restore-service"]
    service: str
    start: Annotated[int, Field(ge=0, le=4)]
    delayed: bool | None
    why: str

    def item(self) -> FirstBootItem:
        return RestoreService(self.service, self.start, self.delayed, self.why)


class RestoreValueModel(Part):
    kind: Literal["restore-value"]
    key: str
    name: str
    data: Held
    why: str

    def item(self) -> FirstBootItem:
        return RestoreValue(self.key, self.name, self.data, self.why)


_ITEM = BeforeValidator(from_plain)
ItemModel = Annotated[
    Annotated[RestoreServiceModel, Tag("restore-service")]
    | Annotated[RestoreValueModel, Tag("restore-value")]
    | Annotated[ConfigureInterface, _ITEM, Tag("configure-interface")]
    | Annotated[TuneNetwork, _ITEM, Tag("tune-network")]
    | Annotated[RunCommands, _ITEM, Tag("run-commands")]
    | Annotated[RunScript, _ITEM, Tag("run-script")]
    | Annotated[RemoveDevice, _ITEM, Tag("remove-device")]
    | Annotated[ResetNetwork, _ITEM, Tag("reset-network")]
    | Annotated[OnlineDisks, _ITEM, Tag("online-disks")],
    Discriminator(kind_of),
]


class PlanModel(Part):
    """The whole document."""

    schema_id: Annotated[Literal["p2vprep.plan/1"], Field(alias="schema")]
    tool: str
    request: dict[str, Any]
    guest: GuestModel
    control_sets: list[str]
    profiles: list[str]
    hives: list[HiveModel]
    changes: list[ChangeModel]
    hazards: list[HazardModel]
    skips: list[SkipModel]
    first_boot: list[ItemModel]

    def plan(self) -> Plan:
        """The plan, without the contents of files."""
        return Plan(
            guest=self.guest.guest(),
            control_sets=tuple(self.control_sets),
            profiles=tuple(self.profiles),
            changes=tuple(model.change() for model in self.changes),
            hazards=tuple(model.hazard() for model in self.hazards),
            skips=tuple(Skip(model.rule, model.subject, model.reason) for model in self.skips),
            first_boot=tuple(
                model.item() if isinstance(model, RestoreServiceModel | RestoreValueModel) else model
                for model in self.first_boot
            ),
            hives=tuple(model.state() for model in self.hives),
        )
