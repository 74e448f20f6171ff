"""The registry of trackers, by namespace."""

from __future__ import annotations

import logging
from typing import Any, Dict, Optional

from snowplow_tracker._protocol.text import described
from snowplow_tracker.contracts import contracts_enabled
from snowplow_tracker.emitter_configuration import EmitterConfiguration
from snowplow_tracker.emitters import Emitter
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker
from snowplow_tracker.tracker_configuration import TrackerConfiguration
from snowplow_tracker.typing import Method

__all__ = [
    "Emitter",
    "EmitterConfiguration",
    "Method",
    "Snowplow",
    "Tracker",
    "TrackerConfiguration",
    "logger",
]

logger: logging.Logger = logging.getLogger(__name__)


class Snowplow:
    """Creates trackers, and returns them by their namespace anywhere in the process."""

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
        *,
        enabled: bool = True,
    ) -> Tracker:
        """Create a tracker with an emitter, and register it.

        Args:
            namespace: The name of the tracker, sent with its events.
            endpoint: The collector: a host, a host with a path, or a URL.
            method: `"post"` or `"get"`.
            app_id: The id of the application, sent with its events.
            subject: The subject of events, unless they have their own values.
            tracker_config: The options of the tracker.
            emitter_config: The options of the emitter. Default: a synchronous `Emitter` over https.
            enabled: False disables tracking: the tracker checks its input and returns ids, but nothing is queued, sent
                or stored. Default True; `SNOWPLOW_DISABLED=1` in the environment takes precedence.

        Raises:
            TypeError: The namespace is already registered, the endpoint is missing, or an argument has the wrong type.
            ValueError: The endpoint is invalid.
        """
        if endpoint is None:
            raise TypeError("Emitter or Collector URL must be provided")
        _check_configuration(tracker_config, TrackerConfiguration, "tracker_config")
        _check_configuration(emitter_config, EmitterConfiguration, "emitter_config")
        tracker_config = tracker_config or TrackerConfiguration()
        emitter_config = emitter_config or EmitterConfiguration()
        Snowplow._check_free(namespace)
        tracker = Tracker(
            namespace=namespace,
            emitters=emitter_config.make_emitter(endpoint, method, enabled=enabled),
            app_id=app_id,
            subject=subject,
            encode_base64=tracker_config.encode_base64,
            json_encoder=tracker_config.json_encoder,
        )
        return Snowplow.add_tracker(tracker)

    @classmethod
    def add_tracker(cls, tracker: Tracker) -> Tracker:
        """Register a tracker that was created elsewhere.

        Args:
            tracker: A tracker. Any other object is ignored, and None is returned.

        Raises:
            TypeError: Its namespace is already registered.
        """
        if not isinstance(tracker, Tracker):
            logger.info("Not a tracker: %r was not added.", tracker)
            return None
        namespace = tracker.get_namespace()
        cls._check_free(namespace)
        cls._trackers[namespace] = tracker
        logger.debug("Tracker %r was added.", namespace)
        return tracker

    @classmethod
    def _check_free(cls, namespace: str) -> None:
        if namespace in cls._trackers:
            raise TypeError("Tracker with this namespace already exists")

    @classmethod
    def remove_tracker(cls, tracker: Tracker) -> None:
        """Remove a tracker from the registry. The tracker itself can still be used.

        Args:
            tracker: The tracker, which is looked up by its namespace.
        """
        cls.remove_tracker_by_namespace(tracker.get_namespace())

    @classmethod
    def remove_tracker_by_namespace(cls, namespace: str) -> None:
        """Remove the tracker of a namespace from the registry. The tracker itself can still be used.

        Args:
            namespace: The namespace. An unknown one is ignored.
        """
        if cls._trackers.pop(namespace, None) is None:
            logger.info("There is no tracker %r to remove.", namespace)
        else:
            logger.debug("Tracker %r was removed.", namespace)

    @classmethod
    def reset(cls) -> None:
        """Remove all trackers from the registry."""
        cls._trackers = {}

    @classmethod
    def get_tracker(cls, namespace: str) -> Optional[Tracker]:
        """Return the tracker of a namespace, or None.

        Args:
            namespace: The name of the tracker.
        """
        return cls._trackers.get(namespace)


def _check_configuration(value: Any, wanted: type, name: str) -> None:
    # Checked by its attributes instead of its type, so that tests can use doubles.
    attribute = "json_encoder" if wanted is TrackerConfiguration else "make_emitter"
    if value and contracts_enabled() and (isinstance(value, type) or not hasattr(value, attribute)):
        raise TypeError(f"{name} must be of type {wanted.__name__}, not {described(value)}.")
