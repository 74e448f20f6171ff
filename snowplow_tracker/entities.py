"""Global contexts: entities that a tracker adds to its events. Ready ones: application, host, cloud, session.

See `Tracker.add_global_contexts` for their possible forms.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Tuple,
    Union,
)

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol.contexts import KeptEntity
from snowplow_tracker._protocol.event_ids import new_id
from snowplow_tracker._protocol.json import dumps
from snowplow_tracker._protocol.schema_rules import RuleSet, SchemaRule, event_schema
from snowplow_tracker.scope import current_scope
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.typing import JsonEncoderFunction

if TYPE_CHECKING:
    from snowplow_tracker.events import Event

__all__ = [
    "ClientSession",
    "CloudInstance",
    "ContextFilter",
    "ContextGenerator",
    "ContextPrimitive",
    "GlobalContext",
    "RuleSet",
    "SchemaRule",
    "application_entity",
    "event_schema",
    "host_entity",
]

logger: logging.Logger = logging.getLogger("snowplow_tracker.tracker")

ContextGenerator = Callable[
    ["Event"], Union[SelfDescribingJson, Iterable[SelfDescribingJson], None]
]
"""Called with an event; returns one entity for it, several, or None."""

ContextFilter = Callable[["Event"], bool]
"""Called with an event; returns whether it gets the entities."""

ContextPrimitive = Union[SelfDescribingJson, ContextGenerator]

GlobalContext = Union[
    ContextPrimitive,
    Tuple[
        Union[ContextFilter, RuleSet, Mapping[str, Any]],
        Union[ContextPrimitive, List[ContextPrimitive]],
    ],
]
"""An entity, a function that returns entities, or a pair: a condition (filter or rule set) and one or more of these."""

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_SNOWPLOW = "iglu:com.snowplowanalytics.snowplow"


class GlobalContexts:
    """The global entities of one tracker, by name.

    They are replaced as a whole when they change, so that an event that is being tracked sees either the old or the
    new ones.
    """

    def __init__(self) -> None:
        self._providers: Dict[str, _Provider] = {}
        self._numbers = itertools.count(1)

    def add(self, contexts: Union[Mapping[str, GlobalContext], Iterable[GlobalContext]]) -> None:
        """Add global contexts, as `Tracker.add_global_contexts` does."""
        providers = dict(self._providers)
        if not isinstance(contexts, Mapping):
            if hasattr(contexts, "to_json") or callable(contexts):
                raise TypeError(
                    "Global contexts must be a list, or a dictionary by name, even for a single one."
                )
            contexts = {f"unnamed {next(self._numbers)}": context for context in contexts}
        for name, context in contexts.items():
            providers[name] = _Provider(name, context)
        self._providers = providers

    def remove(self, names: Iterable[str]) -> None:
        """Remove global contexts by their names. Unknown names are ignored."""
        unwanted = set(names)
        self._providers = {
            name: provider for name, provider in self._providers.items() if name not in unwanted
        }

    def clear(self) -> None:
        """Remove all global contexts."""
        self._providers = {}

    def entities_for(
        self, event: Event, json_encoder: Optional[JsonEncoderFunction]
    ) -> List[KeptEntity]:
        """Return the entities for an event, without those that raise or have no JSON form, which is logged."""
        entities: List[KeptEntity] = []
        for provider in self._providers.values():
            for entity in provider.entities_for(event):
                try:
                    entity.text(json_encoder)
                except (TypeError, ValueError) as error:
                    if is_interrupt(error):
                        raise
                    logger.exception("The global context %r is not JSON.", provider.name)
                else:
                    entities.append(entity)
        return entities


class _Provider:
    """One global context: a condition, and entities or functions that return them."""

    def __init__(self, name: str, context: GlobalContext) -> None:
        self.name = name
        self._applies: Callable[[Event], bool] = lambda _: True
        primitives: Any = context
        if isinstance(context, (tuple, list)):
            if len(context) != 2:
                raise TypeError(
                    f"The global context {name!r} must be a pair of a condition and entities."
                )
            condition, primitives = context
            self._applies = self._checked_condition(condition)
        if not isinstance(primitives, (tuple, list)):
            primitives = [primitives]
        self._primitives = [self._kept(primitive) for primitive in primitives]

    def _checked_condition(self, condition: Any) -> Callable[[Event], bool]:
        if isinstance(condition, Mapping):
            unknown = set(condition) - {"accept", "reject"}
            if unknown:
                raise TypeError(
                    f"A rule set has only accept and reject, not {', '.join(sorted(map(str, unknown)))}."
                )
            condition = RuleSet(condition.get("accept") or (), condition.get("reject") or ())
        if isinstance(condition, RuleSet):
            rules = condition
            return lambda event: rules.matches(event_schema(event))
        if not callable(condition):
            raise TypeError(
                f"The condition of the global context {self.name!r} must be a function, a RuleSet or a dictionary, "
                f"not {type(condition).__name__}."
            )
        filter_: Callable[[Event], bool] = condition
        return filter_

    def _kept(self, primitive: Any) -> Any:
        if hasattr(primitive, "to_json"):
            return (KeptEntity(primitive),)
        if callable(primitive):
            return primitive
        raise TypeError(
            f"The global context {self.name!r} must be a SelfDescribingJson or a function, not "
            f"{type(primitive).__name__}."
        )

    def entities_for(self, event: Event) -> List[KeptEntity]:
        entities: List[KeptEntity] = []
        try:
            if self._applies(event):
                for primitive in self._primitives:
                    entities += (
                        primitive if isinstance(primitive, tuple) else _made(primitive(event))
                    )
        except Exception as error:
            if is_interrupt(error):
                raise
            logger.exception(
                "The global context %r raised; the event is sent without it.", self.name
            )
            return []
        return entities


def _made(result: Any) -> Iterable[KeptEntity]:
    if result is None:
        return ()
    # A dictionary and a string are refused by their own type, not by that of their keys or characters.
    if hasattr(result, "to_json") or isinstance(result, (dict, str)):
        return (KeptEntity(result),)
    return [KeptEntity(entity) for entity in result if entity is not None]


def application_entity(
    version: Optional[str] = None, *, package: Optional[str] = None
) -> SelfDescribingJson:
    """Return an entity with the version of the application (schema `application`, 1-0-0).

    Args:
        version: The version.
        package: Instead of `version`: the name of a distribution, whose installed version is used.

    Raises:
        ValueError: Neither argument is given, or the package is not installed.

    Example:
        >>> tracker.add_global_contexts({"application": application_entity(package="shop")})
    """
    if version is None and package is not None:
        from importlib import metadata

        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise ValueError(f"package is not installed: {package!r}.") from None
    if not version:
        raise ValueError("version or package must be given.")
    return SelfDescribingJson(
        f"{_SNOWPLOW}/application/jsonschema/1-0-0", {"version": str(version)[:255]}
    )


def host_entity(schema: str) -> SelfDescribingJson:
    """Return an entity that describes where the process runs.

    There is no public schema for it: you provide one. Its data are these strings, as far as they are known: `hostname`,
    `python`, `system`, `release`, `machine`, and the integer `pid`; in Kubernetes `pod`, `namespace` and `node` (the
    last two if the downward API sets `POD_NAMESPACE` and `NODE_NAME`); in ECS `ecs_metadata_uri`; in AWS Lambda
    `lambda_function`, `lambda_version`, `lambda_memory` and `region`.

    It makes no network requests. A program that forks must add it in each child, because of the process id.

    Args:
        schema: The URI of your schema, such as `iglu:com.acme/host/jsonschema/1-0-0`.
    """
    import platform

    environment = os.environ
    data: Dict[str, Any] = {
        "hostname": platform.node(),
        "python": platform.python_version(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "pid": os.getpid(),
    }
    if "KUBERNETES_SERVICE_HOST" in environment:
        data["pod"] = environment.get("POD_NAME") or environment.get("HOSTNAME")
        data["namespace"] = environment.get("POD_NAMESPACE") or _service_account_namespace()
        data["node"] = environment.get("NODE_NAME")
    data["ecs_metadata_uri"] = environment.get("ECS_CONTAINER_METADATA_URI_V4")
    if "AWS_LAMBDA_FUNCTION_NAME" in environment:
        data["lambda_function"] = environment["AWS_LAMBDA_FUNCTION_NAME"]
        data["lambda_version"] = environment.get("AWS_LAMBDA_FUNCTION_VERSION")
        data["lambda_memory"] = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        data["region"] = environment.get("AWS_REGION")
    return SelfDescribingJson(
        schema, {name: value for name, value in data.items() if value not in (None, "")}
    )


def _service_account_namespace() -> Optional[str]:
    try:
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None


class CloudInstance:
    """A global context that describes the cloud machine. It is looked up once, in the background.

    On EC2 (with IMDSv2) the entity is `instance_identity_document` of com.amazon.aws.ec2, on Google Compute Engine
    `instance_metadata` of com.google.cloud.gce. Events that are tracked before the look-up has finished are sent
    without the entity, and so are all events on other machines.

    Args:
        timeout: Seconds to wait for each answer of a metadata service. Default 1.0.
        ec2_url: The URL of the metadata service of EC2.
        gce_url: The URL of the metadata service of Google.

    Example:
        >>> tracker.add_global_contexts({"cloud": CloudInstance()})
    """

    def __init__(
        self,
        *,
        timeout: float = 1.0,
        ec2_url: str = "http://169.254.169.254",
        gce_url: str = "http://metadata.google.internal",
    ) -> None:
        self._timeout = timeout
        self._ec2_url = ec2_url
        self._gce_url = gce_url
        self._asked_in: Optional[int] = None
        self._finished = threading.Event()
        self._entity: Optional[SelfDescribingJson] = None
        self._ask()

    def __call__(self, event: Optional[Event] = None) -> Optional[SelfDescribingJson]:  # noqa: ARG002
        """Return the entity, or None while it is not known."""
        if self._entity is None and self._asked_in != os.getpid():
            self._ask()  # in a child that was forked during the look-up of its parent
        return self._entity

    def wait(self, timeout: float) -> bool:
        """Wait until the look-up has finished, with or without a result.

        Args:
            timeout: Maximum seconds to wait.

        Returns:
            Whether the look-up has finished.
        """
        return self._finished.wait(timeout)

    def _ask(self) -> None:
        self._asked_in = os.getpid()
        self._finished = threading.Event()
        thread = threading.Thread(target=self._look_up, name="snowplow-cloud", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            logger.debug("Could not start a thread to look up the cloud instance.")
            self._finished.set()

    def _look_up(self) -> None:
        try:
            for look_up in (self._ec2, self._gce):
                try:
                    self._entity = look_up()
                except (OSError, ValueError, LookupError, TypeError) as error:
                    logger.debug("No answer about the cloud instance: %r", error)
                if self._entity is not None:
                    break
        finally:
            self._finished.set()

    def _ec2(self) -> Optional[SelfDescribingJson]:
        token = self._request(
            f"{self._ec2_url}/latest/api/token",
            {"X-aws-ec2-metadata-token-ttl-seconds": "60"},
            method="PUT",
        )
        document = self._request(
            f"{self._ec2_url}/latest/dynamic/instance-identity/document",
            {"X-aws-ec2-metadata-token": token},
        )
        known = json.loads(document)
        data = {name: known[name] for name in _EC2_FIELDS if known.get(name) is not None}
        return SelfDescribingJson(
            "iglu:com.amazon.aws.ec2/instance_identity_document/jsonschema/1-0-0", data
        )

    def _gce(self) -> Optional[SelfDescribingJson]:
        answer = self._request(
            f"{self._gce_url}/computeMetadata/v1/instance/?recursive=true",
            {"Metadata-Flavor": "Google"},
        )
        known = json.loads(answer)
        data: Dict[str, Any] = {name: str(known[name]) for name in _GCE_FIELDS}
        # Not the attributes, which contain start scripts and keys.
        data.update(tags=known.get("tags"), attributes=None)
        return SelfDescribingJson(
            "iglu:com.google.cloud.gce/instance_metadata/jsonschema/1-0-0", data
        )

    def _request(self, url: str, headers: Dict[str, str], method: str = "GET") -> str:
        from urllib.error import HTTPError
        from urllib.request import ProxyHandler, Request, build_opener

        # The address is local to this machine, so a proxy must not answer.
        opener = build_opener(ProxyHandler({}))
        request = Request(url, headers=headers, method=method)  # noqa: S310 - the two addresses above
        try:
            with opener.open(request, timeout=self._timeout) as response:
                return str(response.read(1_000_000).decode())
        except HTTPError as error:
            error.close()  # it holds the connection
            raise


_EC2_FIELDS = (
    "instanceId",
    "availabilityZone",
    "accountId",
    "architecture",
    "instanceType",
    "version",
    "pendingTime",
    "imageId",
    "privateIp",
    "region",
    "ramdiskId",
    "kernelId",
    "billingProducts",
    "devpayProductCodes",
)
_GCE_FIELDS = ("cpuPlatform", "hostname", "id", "image", "machineType", "name", "zone")

_NOBODY = "00000000-0000-0000-0000-000000000000"


class ClientSession:
    """A global context with the session of a command line or desktop program (schema `client_session`, 1-0-2).

    A session ends after some time without events. In an anonymous scope, the user id is
    `00000000-0000-0000-0000-000000000000`, and the previous session id is not sent.

    Args:
        path: A file that keeps the user id and the session between runs. It is created with permissions for its owner
            only. Default: no file, so that each run is a new user.
        timeout: Seconds without an event after which a session ends. Default 1800.

    Example:
        >>> session = ClientSession(Path.home() / ".config/acme/session.json")
        >>> tracker.add_global_contexts({"session": session})
    """

    _SAVE_AFTER = 10.0

    def __init__(
        self, path: Union[str, os.PathLike[str], None] = None, *, timeout: float = 1800.0
    ) -> None:
        self._path = None if path is None else Path(path)
        self._timeout = timeout
        self._lock = threading.RLock()
        self._saved_at = 0.0
        self._event_index = 0
        self._first_event_at: Optional[str] = None
        self._state = self._load()

    def __call__(self, event: Optional[Event] = None) -> SelfDescribingJson:  # noqa: ARG002
        """Return the entity for an event, and count the event."""
        now = time.time()
        with self._lock:
            state = self._state
            if "session_id" not in state or not 0 <= now - state["last_event"] < self._timeout:
                state = self._state = {
                    "user_id": state["user_id"],
                    "session_id": new_id(),
                    "session_index": state["session_index"] + 1,
                    "previous_session_id": state.get("session_id"),
                    "last_event": now,
                }
                self._event_index, self._first_event_at, self._saved_at = 0, None, 0.0
            state["last_event"] = now
            self._event_index += 1
            if self._first_event_at is None:
                self._first_event_at = _iso_time(now)
            data = {
                "userId": state["user_id"],
                "sessionId": state["session_id"],
                "sessionIndex": state["session_index"],
                "eventIndex": self._event_index,
                "previousSessionId": state.get("previous_session_id"),
                "storageMechanism": "LOCAL_STORAGE",
                "firstEventTimestamp": self._first_event_at,
            }
            if abs(now - self._saved_at) > self._SAVE_AFTER:
                self._saved_at = now
                self._save()
        if current_scope().is_anonymous:
            data.update(userId=_NOBODY, previousSessionId=None)
        return SelfDescribingJson(f"{_SNOWPLOW}/client_session/jsonschema/1-0-2", data)

    def _load(self) -> Dict[str, Any]:
        if self._path is not None:
            try:
                state = json.loads(self._path.read_text(encoding="utf-8"))
                return {
                    "user_id": str(state["user_id"]),
                    "session_id": str(state["session_id"]),
                    "session_index": int(state["session_index"]),
                    "previous_session_id": state.get("previous_session_id"),
                    "last_event": float(state["last_event"]),
                }
            except FileNotFoundError:
                pass
            except (OSError, ValueError, LookupError, TypeError) as error:
                logger.warning("The session file %s cannot be read: %r", self._path, error)
        return {"user_id": new_id(), "session_index": 0, "last_event": 0.0}

    def _save(self) -> None:
        if self._path is None:
            return
        temporary = Path(f"{self._path}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(mode=0o600)
            temporary.write_text(dumps(self._state), encoding="utf-8")
            temporary.replace(self._path)
        except OSError as error:
            if is_interrupt(error):
                raise
            logger.warning("The session file %s cannot be written: %r", self._path, error)


def _iso_time(seconds: float) -> str:
    from datetime import datetime, timezone

    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
