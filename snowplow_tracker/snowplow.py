"""The registry of trackers, by namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from snowplow_tracker._late_logging import get_logger, late_logger
from snowplow_tracker.emitter_configuration import EmitterConfiguration as EmitterConfiguration
from snowplow_tracker.emitters import Emitter as Emitter
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker as Tracker
from snowplow_tracker.tracker_configuration import TrackerConfiguration as TrackerConfiguration
from snowplow_tracker.typing import Method as Method

if TYPE_CHECKING:
    import logging

__all__ = [
    "Emitter",
    "EmitterConfiguration",
    "Method",
    "Snowplow",
    "Tracker",
    "TrackerConfiguration",
    "logger",
]

_logger = late_logger(__name__)
if TYPE_CHECKING:
    logger: logging.Logger


def __getattr__(name: str) -> Any:
    if name == "logger":
        return get_logger(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Snowplow:
    """Makes trackers and finds them again by their namespace, from anywhere in the process."""

    _trackers: Dict[str, Tracker] = {}  # noqa: RUF012 - shared on purpose: this is the registry

    @staticmethod
    def create_tracker(
        namespace: str,
        endpoint: str,
        method: Method = "post",
        app_id: Optional[str] = None,
        subject: Optional[Subject] = None,
        tracker_config: Optional[TrackerConfiguration] = None,
        emitter_config: Optional[EmitterConfiguration] = None,
    ) -> Tracker:
        """Make a tracker with an emitter, and register it.

        Args:
            namespace: The name of the tracker, sent with its events.
            endpoint: The collector: a host, a host with a path, or a URL.
            method: `"post"` or `"get"`.
            app_id: The application, sent with its events.
            subject: Whom the events are about, unless they say otherwise.
            tracker_config: The tracker's options.
            emitter_config: The emitter's options; by default a synchronous `Emitter` over https.

        Raises:
            TypeError: The namespace is taken, or there is no endpoint.
            ValueError: The endpoint is unusable.
        """
        if endpoint is None:
            raise TypeError("Emitter or Collector URL must be provided")
        tracker_config = tracker_config or TrackerConfiguration()
        emitter_config = emitter_config or EmitterConfiguration()
        Snowplow._check_free(namespace)
        tracker = Tracker(
            namespace=namespace,
            emitters=emitter_config.make_emitter(endpoint, method),
            app_id=app_id,
            subject=subject,
            encode_base64=tracker_config.encode_base64,
            json_encoder=tracker_config.json_encoder,
        )
        return Snowplow.add_tracker(tracker)

    @classmethod
    def add_tracker(cls, tracker: Tracker) -> Tracker:
        """Register a tracker that was made elsewhere.

        Args:
            tracker: A tracker; anything else is ignored, and gives None.

        Raises:
            TypeError: Its namespace is taken.
        """
        if not isinstance(tracker, Tracker):
            _logger.info("Not a tracker: %r was not added.", tracker)
            return None
        namespace = tracker.get_namespace()
        cls._check_free(namespace)
        cls._trackers[namespace] = tracker
        _logger.debug("Tracker %r was added.", namespace)
        return tracker

    @classmethod
    def _check_free(cls, namespace: str) -> None:
        if namespace in cls._trackers:
            raise TypeError("Tracker with this namespace already exists")

    @classmethod
    def remove_tracker(cls, tracker: Tracker) -> None:
        """Remove a tracker from the registry. It goes on to work.

        Args:
            tracker: It is found by its namespace.
        """
        cls.remove_tracker_by_namespace(tracker.get_namespace())

    @classmethod
    def remove_tracker_by_namespace(cls, namespace: str) -> None:
        """Same as `remove_tracker`, by name.

        Args:
            namespace: An unknown one is ignored.
        """
        if cls._trackers.pop(namespace, None) is None:
            _logger.info("There is no tracker %r to remove.", namespace)
        else:
            _logger.debug("Tracker %r was removed.", namespace)

    @classmethod
    def reset(cls) -> None:
        """Remove all trackers from the registry."""
        cls._trackers = {}

    @classmethod
    def get_tracker(cls, namespace: str) -> Optional[Tracker]:
        """Return the tracker of a namespace, or None.

        Args:
            namespace: The name given to the tracker.
        """
        return cls._trackers.get(namespace)
