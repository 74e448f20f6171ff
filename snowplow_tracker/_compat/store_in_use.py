"""The store as an override of `send_events` sees it, which in 1.1.0 settled its events with the store by itself."""

from __future__ import annotations

from typing import Any, Callable

from snowplow_tracker.typing import PayloadDictList


class StoreInUse:
    """A store whose `cleanup` goes through the engine, which has to know what became of the events.

    In everything else it is the store: it has its attributes and its class.

    Args:
        store: The store.
        settle: Called instead of `cleanup`.
    """

    __slots__ = ("_settle", "_store")

    def __init__(self, store: Any, settle: Callable[[PayloadDictList, bool], None]) -> None:
        object.__setattr__(self, "_store", store)
        object.__setattr__(self, "_settle", settle)

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Have the engine settle events."""
        self._settle(batch, need_retry)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._store)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._store, name, value)

    def __eq__(self, other: object) -> bool:
        return bool(self._store == other)

    def __hash__(self) -> int:
        return hash(self._store)
