"""Scopes: values and entities for every event inside a request, a task or a job.

A web application knows the user when a request comes in, and tracks much later, in functions that know nothing about
requests. A scope carries what is known about the request to these functions:

    with Scope(user_id="user-7", page_url="https://shop.example.com/lamps"):
        tracker.track(StructuredEvent("shop", "add-to-basket"))   # has uid and url

Parameter by parameter, an event and its subject take precedence over its scope, an inner scope over an outer one, and
all of them over the tracker's subject. A scope changes nothing about the parameters that it does not have. An event gets
the entities of all of them.

A scope belongs to the context that opened it, as in `contextvars`: threads, asyncio tasks and greenlets that serve
other requests never see it. asyncio tasks that are created inside see it, and so do functions that an asynchronous
framework runs in its thread pool. For a thread or a greenlet that you start yourself, see `propagate`.

The middleware in `snowplow_tracker.integrations` opens a scope per request.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import wraps
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    Mapping,
    Optional,
    Tuple,
    Type,
    TypeVar,
    cast,
)

from snowplow_tracker._messages import choice_text
from snowplow_tracker._protocol.contexts import KeptEntity
from snowplow_tracker._protocol.parameters import COLLECTIONS, sent_value
from snowplow_tracker._protocol.text import plain
from snowplow_tracker.contracts import contracts_enabled, one_of
from snowplow_tracker.events.event import own_pairs
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import DEFAULT_PLATFORM, SUPPORTED_PLATFORMS, Subject
from snowplow_tracker.typing import JsonEncoderFunction, Unpack

if TYPE_CHECKING:
    from typing_extensions import TypedDict

    class ScopeValues(TypedDict, total=False):
        """The keyword arguments of `Scope`."""

        platform: Optional[str]
        user_id: Optional[str]
        domain_user_id: Optional[str]
        domain_session_id: Optional[str]
        domain_session_index: Optional[int]
        network_user_id: Optional[str]
        ip_address: Optional[str]
        useragent: Optional[str]
        lang: Optional[str]
        timezone: Optional[str]
        page_url: Optional[str]
        page_title: Optional[str]
        referrer: Optional[str]

else:
    ScopeValues = Dict[str, Any]

__all__ = ["Scope", "ScopeValues", "current_scope", "propagate"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

PARAMETERS = {
    "platform": "p",
    "user_id": "uid",
    "domain_user_id": "duid",
    "domain_session_id": "sid",
    "domain_session_index": "vid",
    "network_user_id": "tnuid",
    "ip_address": "ip",
    "useragent": "ua",
    "lang": "lang",
    "timezone": "tz",
    "page_url": "url",
    "page_title": "page",
    "referrer": "refr",
}
"""The parameter of the tracker protocol for each keyword argument of `Scope`."""

IDENTIFIERS = ("uid", "duid", "tnuid", "nuid", "sid", "vid", "ip")
"""The parameters that identify a person. Anonymous events have none of them."""

# The parameters of a `Subject`, except those of the page, which belong to the event like all others.
_OF_SUBJECT = frozenset("p uid duid tnuid sid vid ip ua lang tz res vp cd cs ds cookie".split())  # noqa: SIM905
# The tracker sets these for each event: from a scope they would be wrong.
_RESERVED = frozenset("e eid dtm stm tv tna aid ue_px ue_pr cx co ttm".split())  # noqa: SIM905


class ScopeState:
    """The values of a scope combined with those of the scopes around it. It is immutable.

    Attributes:
        pairs: The parameters. Those that are None are not sent.
        entities: The entities; those of outer scopes are first.
        anonymous: Whether identifiers are removed from events.
        has_more: Whether there is anything besides parameters.
    """

    __slots__ = ("_of_event", "_of_subject", "_text", "anonymous", "entities", "has_more", "pairs")

    def __init__(
        self, pairs: Dict[str, Any], entities: Tuple[KeptEntity, ...], anonymous: Optional[bool]
    ) -> None:
        self.pairs: Dict[str, Any] = pairs
        self.entities: Tuple[KeptEntity, ...] = entities
        self.anonymous: Optional[bool] = anonymous
        self.has_more: bool = bool(entities or anonymous)
        self._of_subject = pairs.keys() & _OF_SUBJECT
        self._of_event = {name: pairs[name] for name in pairs if name not in _OF_SUBJECT}
        self._text: Optional[Tuple[Optional[JsonEncoderFunction], str]] = None

    def over(self, subject: Optional[Subject], event: Any) -> Optional[Subject]:
        """Return the tracker's subject with the values of the scope over its own, to build an event with.

        A subject overrides the event's own parameters, as in 1.1.0, but a scope does not. So where both the scope and the
        event have a value, the subject gets that of the event.
        """
        if not self.pairs:
            return subject
        around = {} if subject is None else subject.standard_nv_pairs
        pairs = {**around, **self.pairs}
        for name in self._of_event:
            del pairs[name]
        own = own_pairs(event)
        if own and not self._of_subject.isdisjoint(own):
            pairs.update([(name, own[name]) for name in own if name in self._of_subject])
        combined = Subject()
        combined.standard_nv_pairs = pairs
        return combined

    def fill_in(self, pairs: Dict[str, Any], event: Any) -> None:
        """Add the parameters that no `Subject` has to those of an event, unless it has them."""
        event_subject = getattr(event, "event_subject", None) if self._of_event else None
        said = {} if event_subject is None else event_subject.combine_subject(None)
        for name, value in self._of_event.items():
            if value is not None and value != "" and name not in said:
                pairs.setdefault(name, value)

    def entities_text(self, json_encoder: Optional[JsonEncoderFunction]) -> str:
        """Return the entities as JSON, separated by commas."""
        kept = self._text
        if kept is None or kept[0] is not json_encoder:
            text = ", ".join([entity.text(json_encoder) for entity in self.entities])
            kept = self._text = (json_encoder, text)
        return kept[1]


_NOTHING = ScopeState({}, (), None)

_CURRENT: ContextVar[Optional[Scope]] = ContextVar("snowplow_tracker.scope", default=None)

innermost: Callable[[], Optional[Scope]] = _CURRENT.get
"""Return the innermost open scope, or None. The tracker calls it for each event."""


def surroundings() -> Optional[ScopeState]:
    """Return the values and entities of all open scopes, or None outside of any scope."""
    scope = _CURRENT.get()
    return None if scope is None else scope._merged()  # noqa: SLF001 - of a class of ours


def remove_identifiers(pairs: Dict[str, Any]) -> None:
    """Remove the identifiers of a person from the parameters of an event."""
    for name in IDENTIFIERS:
        pairs.pop(name, None)


class Scope:
    """Values and entities for every event that is tracked inside it.

    A scope is a context manager for `with`, also in coroutines, and a decorator for functions and coroutine functions:
    each call of a decorated function has its own scope with these values.

    Args:
        subject: A subject, all of whose values are used; its platform only if it was set.
        entities: Entities for every event. They are copied; to change one, remove it and add another.
        parameters: Other parameters of the tracker protocol, by their names there (`{"res": "800x600"}`).
        anonymous: `True` removes the identifiers (user, domain user, network user, session, IP address) from every
            event, even if the event sets them itself. `False` ends this inside an anonymous scope. Default: as in the
            scope around this one.
        **values: `user_id`, `domain_user_id`, `domain_session_id` (a UUID), `domain_session_index`, `network_user_id`,
            `ip_address`, `useragent`, `lang`, `timezone`, `platform`, `page_url`, `page_title`, `referrer`. A value of
            `None` is not sent, and hides the value of outer scopes and of the tracker's subject.

    Raises:
        TypeError: A keyword is unknown, or its value is a list or another collection.
        ValueError: The platform is not one of the protocol, `entities` contains an object that is not an entity, or
            `parameters` contains one that the tracker sets for each event, such as `eid`.

    Example:
        >>> with Scope(user_id="user-7") as scope:
        ...     tracker.track(PageView("https://example.com"))
        ...     scope.set(page_title="Basket")
        ...     scope.add_entity(SelfDescribingJson("iglu:com.acme/basket/jsonschema/1-0-0", {}))

    New in version 1.2.0.
    """

    def __init__(
        self,
        subject: Optional[Subject] = None,
        entities: Iterable[SelfDescribingJson] = (),
        *,
        parameters: Optional[Mapping[str, Any]] = None,
        anonymous: Optional[bool] = None,
        **values: Unpack[ScopeValues],
    ) -> None:
        self._pairs: Dict[str, Any] = {}
        self._anonymous = anonymous
        self._outer: Optional[Scope] = None
        self._token: Optional[Token[Optional[Scope]]] = None
        # Replaced after each change, so that a state that was merged during the change is merged again.
        self._version = object()
        self._cache: Optional[Tuple[object, Optional[ScopeState], ScopeState]] = None
        if subject is not None or parameters or values:
            self.set(subject, parameters=parameters, **values)
        is_one = isinstance(entities, (dict, str)) or hasattr(entities, "to_json")
        if is_one or not hasattr(type(entities), "__iter__"):
            raise ValueError(
                f"entities must be a list of SelfDescribingJson, not {type(entities).__name__}."
            )
        self._entities = tuple(map(KeptEntity, entities))

    def set(
        self,
        subject: Optional[Subject] = None,
        *,
        parameters: Optional[Mapping[str, Any]] = None,
        anonymous: Optional[bool] = None,
        **values: Unpack[ScopeValues],
    ) -> None:
        """Set values for the events from now on. It does not change events that are already tracked.

        Args:
            subject: A subject, all of whose values are used, as in the constructor.
            parameters: Other parameters of the tracker protocol, by their names there.
            anonymous: Whether to remove identifiers from events; `None` changes nothing.
            **values: The keywords of the constructor. A value of `None` is not sent, and hides the value of outer
                scopes and of the tracker's subject.

        Raises:
            TypeError: A keyword is unknown, or its value is a list or another collection.
            ValueError: The platform is not one of the protocol, or `parameters` contains one that the tracker sets for
                each event.
        """
        changes = {} if subject is None else _chosen(subject)
        if parameters:
            changes.update(_checked_parameters(parameters))
        if values:
            changes.update(_named(values))
        self._pairs.update(changes)
        if anonymous is not None:
            self._anonymous = anonymous
        self._version = object()

    def add_entity(self, entity: SelfDescribingJson) -> None:
        """Add an entity to the events from now on.

        Args:
            entity: The entity. It is copied: changes of its data afterwards have no effect on events.

        Raises:
            ValueError: `entity` is not a `SelfDescribingJson`.
        """
        self._entities += (KeptEntity(entity),)
        self._version = object()

    def remove_entities(self, schema: Optional[str] = None) -> None:
        """Remove entities of this scope from the events from now on. Those of outer scopes stay.

        Args:
            schema: Remove only entities with this schema URI. Default: remove all.
        """
        self._entities = tuple(
            entity for entity in self._entities if schema is not None and entity.schema != schema
        )
        self._version = object()

    @property
    def is_anonymous(self) -> bool:
        """Whether identifiers are removed from events, by this scope or one around it."""
        return bool(self._merged().anonymous)

    def as_dict(self) -> Dict[str, Any]:
        """Return the values and entities of this scope and the scopes around it, as data that JSON can represent.

        Use it with `from_dict` to pass a scope to another process. Values become strings.

        Raises:
            TypeError: An entity contains a value that JSON cannot represent.
        """
        import json

        merged = self._merged()
        return {
            "parameters": {
                name: None if value is None else str(value) for name, value in merged.pairs.items()
            },
            "entities": [json.loads(entity.text(None)) for entity in merged.entities],
            "anonymous": merged.anonymous,
        }

    @classmethod
    def from_dict(cls: Type[_Scope], values: Mapping[str, Any]) -> _Scope:
        """Return a scope from the result of `as_dict`.

        Args:
            values: The result of `as_dict`, usually from another process.

        Raises:
            ValueError: `values` does not have the form of such a result.
        """
        try:
            parameters, entities = values["parameters"], values["entities"]
            return cls(
                entities=[SelfDescribingJson(each["schema"], each["data"]) for each in entities],
                parameters=dict(parameters),
                anonymous=values["anonymous"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"This is not what Scope.as_dict returns: {error!r}") from None

    def __enter__(self: _Scope) -> _Scope:
        """Open the scope.

        Raises:
            RuntimeError: The scope is already open.
        """
        if self._token is not None:
            raise RuntimeError("This scope is open already. Make another one to open it twice.")
        self._outer = _CURRENT.get()
        self._token = _CURRENT.set(self)
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]] = None,
        error: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
    ) -> None:
        """Close the scope. Tasks and propagated threads that were started inside keep it until they end."""
        token, self._token = self._token, None
        scope = _CURRENT.get()
        while scope is not None and scope is not self:
            scope = scope._outer  # noqa: SLF001 - of this class
        if token is None or scope is None:
            return  # a scope around this one was closed before, as by two generators that are read by turns
        try:
            _CURRENT.reset(token)
        except ValueError:
            # Another task may close an asynchronous generator than the one that ran it.
            if _CURRENT.get() is self:
                _CURRENT.set(self._outer)

    def __call__(self, function: _Function) -> _Function:
        """Decorate a function or a coroutine function: each call has its own scope with these values.

        Raises:
            TypeError: `function` is not a function, or is a generator function: its scope would also apply to the
                code that iterates.
        """
        return _called_inside(self._copy, function)

    def _copy(self) -> Scope:
        copied = Scope()
        copied._pairs = dict(self._pairs)
        copied._entities = self._entities
        copied._anonymous = self._anonymous
        return copied

    def _merged(self) -> ScopeState:
        """Return this scope combined with the scopes around it."""
        outer = self._outer
        around = None if outer is None else outer._merged()  # noqa: SLF001 - of this class
        version, cache = self._version, self._cache
        if cache is not None and cache[0] is version and cache[1] is around:
            return cache[2]
        merged = self._merge(_NOTHING if around is None else around)
        self._cache = (version, around, merged)
        return merged

    def _merge(self, around: ScopeState) -> ScopeState:
        pairs = {**around.pairs, **self._pairs}
        anonymous = around.anonymous if self._anonymous is None else self._anonymous
        return ScopeState(pairs, around.entities + self._entities, anonymous)

    def __repr__(self) -> str:
        """Return the names of the values that are set, without the values: they are personal data."""
        shown = sorted(self._pairs)
        if self._entities:
            shown.append(f"{len(self._entities)} entities")
        if self._anonymous is not None:
            shown.append(f"anonymous={self._anonymous}")
        state = "closed" if self._token is None else "open"
        return f"<{type(self).__name__} {state}: {', '.join(shown) or 'nothing set'}>"


_Scope = TypeVar("_Scope", bound=Scope)


def current_scope() -> Scope:
    """Return the innermost open scope, for code that learns more about a request while it runs.

    Outside of any scope it returns a new one that is not open: to set values on it has no effect. So the same code
    works in a request, in a test and in a shell.

    Example:
        >>> def log_in(user):
        ...     current_scope().set(user_id=user.id)

    New in version 1.2.0.
    """
    return _CURRENT.get() or Scope()


def propagate(function: _Function) -> _Function:
    """Return a function that runs in the scope that is open now, in whatever thread it is called.

    Without it, threads and greenlets start outside of any scope.

    Args:
        function: The function or coroutine function. It may run several times at once, and after the scope was closed.

    Raises:
        TypeError: `function` is not a function, or is a generator function: its scope would also apply to the code that
            iterates.

    Example:
        >>> threading.Thread(target=propagate(send_invoice)).start()
        >>> pool.submit(propagate(send_invoice), order)

    New in version 1.2.0.
    """
    scope = _CURRENT.get()
    # A request is read where it is served: its framework's context is in no other thread.
    surroundings()

    @contextmanager
    def current_again() -> Iterator[None]:
        token = _CURRENT.set(scope)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    return _called_inside(current_again, function)


_NO_GENERATOR = (
    "A generator function cannot have a scope: open one inside of it, around what does not yield."
)


async def _awaited_inside(context: Callable[[], ContextManager[object]], result: Any) -> Any:
    with context():
        return await result


def _called_inside(context: Callable[[], ContextManager[object]], function: _Function) -> _Function:
    """Return a function or a coroutine function, each call of which runs in a context of its own."""
    import inspect

    if not callable(function):
        raise TypeError(
            f"A scope is for functions, not an object of type {type(function).__name__}."
        )
    # An object that can be called may be of any of these kinds as well.
    kinds = (function, type(function).__call__)
    if any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in kinds):
        raise TypeError(_NO_GENERATOR)
    if any(map(inspect.iscoroutinefunction, kinds)):

        @wraps(function)
        async def call(*arguments: Any, **named: Any) -> Any:
            with context():
                return await function(*arguments, **named)

    else:

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            with context():
                result = function(*arguments, **named)
            # A decorator below may hide what kind of function it is.
            if inspect.iscoroutine(result):
                return _awaited_inside(context, result)
            ran = getattr(result, "gi_code", getattr(result, "ag_code", None))
            if ran is not None and ran is getattr(inspect.unwrap(function), "__code__", None):
                raise TypeError(_NO_GENERATOR)
            return result

    return cast("_Function", call)


def _chosen(subject: Subject) -> Dict[str, Any]:
    """Return the parameters that were set on a subject."""
    if not hasattr(subject, "standard_nv_pairs"):
        raise TypeError(f"subject must be a Subject, not {type(subject).__name__}.")
    pairs = dict(subject.standard_nv_pairs)
    if pairs.get("p") == DEFAULT_PLATFORM and not subject._platform_chosen:  # noqa: SLF001
        del pairs["p"]
    return pairs


def _named(values: Mapping[str, Any]) -> Dict[str, Any]:
    pairs: Dict[str, Any] = {}
    for name, value in values.items():
        parameter = PARAMETERS.get(name)
        if parameter is None:
            unknown = ", ".join(each for each in values if each not in PARAMETERS)
            raise TypeError(
                f"A scope has no value {unknown}. It has {', '.join(PARAMETERS)}. Use parameters={{...}} "
                "for other parameters of the protocol."
            )
        pairs[parameter] = _checked_value(name, parameter, value)
    return pairs


def _checked_value(name: str, parameter: str, value: object) -> Any:
    """Return a value as it is sent, after a check. A message calls it by the name that the caller gave."""
    if value is not None and contracts_enabled():
        # Not `isinstance`, which resolves a proxy.
        if issubclass(type(plain(value)), COLLECTIONS):
            raise TypeError(f"{name} must be a string, not {type(value).__name__}.")
        if parameter == "p":
            try:
                one_of(value, SUPPORTED_PLATFORMS)
            except ValueError:
                raise ValueError(f"{name} {choice_text(SUPPORTED_PLATFORMS, value)}") from None
    return sent_value(parameter, value)


def _checked_parameters(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    pairs: Dict[str, Any] = {}
    for name, value in parameters.items():
        if not isinstance(name, str) or not name:
            raise ValueError(f"parameters has a name that is not a non-empty string: {name!r}.")
        if name in _RESERVED:
            raise ValueError(
                f"parameters cannot hold {name!r}: the tracker sets it for each event."
            )
        pairs[str(name)] = _checked_value(f"{name!r} in parameters", name, value)
    return pairs
