"""Sources of schemas: folders, archives and Iglu registries on the network."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Protocol, Union

from snowplow_tracker.iglu.schema_key import SchemaKey

__all__ = [
    "ArchiveRegistry",
    "FolderRegistry",
    "HttpRegistry",
    "Registry",
    "RegistryError",
    "registry_from",
]

_MAX_BYTES = 4_000_000
"""Maximum size of a schema; the largest public ones have about 100 kB."""
_CACHE_SECONDS = 24 * 3600.0
_PATH_IN_ARCHIVE = re.compile(r"(?:^|/)([^/]+/[^/]+/[^/]+/[1-9][0-9]*-[0-9]+-[0-9]+)(?:\.json)?$")


class RegistryError(Exception):
    """A registry could not look up a schema. The message gives the reason."""


class Registry(Protocol):
    """A source of schemas."""

    @property
    def name(self) -> str:
        """The name of the registry in messages."""

    @property
    def remote(self) -> bool:
        """Whether a look-up may make a request."""

    def lookup(self, key: SchemaKey) -> Optional[Dict[str, Any]]:
        """Return a schema, or `None` if the registry does not have it.

        Raises:
            RegistryError: The look-up failed.
        """

    def keys(self) -> Iterator[SchemaKey]:
        """Return the keys of its schemas, as far as it can list them."""


class FolderRegistry:
    """A folder in Iglu layout: `vendor/name/format/version`, with or without `schemas/` above.

    Args:
        folder: The folder.

    Raises:
        ValueError: The folder does not exist.
    """

    remote = False

    def __init__(self, folder: Union[str, os.PathLike[str]]) -> None:
        self._root = Path(folder)
        if not self._root.is_dir():
            raise ValueError(f"There is no folder {str(folder)!r} to read schemas from.")

    @property
    def name(self) -> str:
        """The path of the folder."""
        return str(self._root)

    def lookup(self, key: SchemaKey) -> Optional[Dict[str, Any]]:
        """Return a schema, or `None` if the folder does not have it.

        Raises:
            RegistryError: The file cannot be read.
        """
        for root in (self._root, self._root / "schemas"):
            for suffix in ("", ".json"):
                path = root / f"{key.path}{suffix}"
                if path.is_file():
                    try:
                        return schema_from(path.read_bytes())
                    except OSError as error:
                        raise RegistryError(str(error)) from error
        return None

    def keys(self) -> Iterator[SchemaKey]:
        """Return the schemas in the folder."""
        for root in (self._root, self._root / "schemas"):
            for path in root.glob("*/*/*/*"):
                key = _key_of("/".join(path.parts[-4:]))
                if key is not None and path.is_file():
                    yield key

    def __repr__(self) -> str:
        return f"FolderRegistry({self.name!r})"


class ArchiveRegistry:
    """A zip or tar archive that contains a folder in Iglu layout, at any depth.

    Args:
        file: The archive.

    Raises:
        ValueError: The file does not exist, or is not an archive.
    """

    remote = False

    def __init__(self, file: Union[str, os.PathLike[str]]) -> None:
        self.name: str = str(file)
        try:
            if zipfile.is_zipfile(file):
                self._schemas = dict(_in_zip(file))
            else:
                self._schemas = dict(_in_tar(file))
        except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{self.name!r} is not an archive to read schemas from: {error}"
            ) from error

    def lookup(self, key: SchemaKey) -> Optional[Dict[str, Any]]:
        """Return a schema, or `None` if the archive does not have it.

        Raises:
            RegistryError: The file is not a schema.
        """
        raw = self._schemas.get(key)
        return None if raw is None else schema_from(raw)

    def keys(self) -> Iterator[SchemaKey]:
        """Return the schemas in the archive."""
        return iter(self._schemas)

    def __repr__(self) -> str:
        return f"ArchiveRegistry({self.name!r})"


class HttpRegistry:
    """An Iglu registry on the network: static, or a server.

    Schemas are cached on disk for a day.

    Args:
        url: The URL, without the last part `schemas/`: `https://iglu.acme.example/api` for a server,
            `http://iglucentral.com` for a static registry.
        api_key: The key, for a server that needs one.
        timeout: Seconds to connect, and to wait for each part of the answer.
        cache: The folder of the cache, or `None` for no cache on disk. Default: a folder in the cache
            folder of the user.
    """

    remote = True

    def __init__(
        self,
        url: str,
        api_key: Optional[str] = None,
        *,
        timeout: float = 5.0,
        cache: Union[str, os.PathLike[str], None] = "~",
    ) -> None:
        self._url = re.sub(r"(/schemas)?/*$", "", url)
        self._api_key = api_key
        self._timeout = timeout
        self._cache: Optional[Path] = None
        if cache is not None:
            folder = _user_cache() if cache == "~" else Path(cache)
            # The key is part of the name, since another key may not have access to the same schemas.
            identity = f"{self._url}\n{api_key or ''}".encode()
            self._cache = folder / hashlib.sha256(identity).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The URL, without a password."""
        return re.sub(r"//[^/@]*@", "//", self._url)

    def lookup(self, key: SchemaKey) -> Optional[Dict[str, Any]]:
        """Return a schema from the cache or the registry, or `None` if the registry does not have it.

        Raises:
            RegistryError: The registry cannot be reached, refuses, or does not answer with a schema.
        """
        cached = self._cached(key)
        if cached is not None:
            return cached
        raw = self._fetch(key)
        if raw is None:
            return None
        schema = schema_from(raw)
        self._keep(key, raw)
        return schema

    def keys(self) -> Iterator[SchemaKey]:
        """Return nothing: the schemas of a registry on the network are not listed."""
        return iter(())

    def _fetch(self, key: SchemaKey) -> Optional[bytes]:
        import requests

        headers = {"Accept": "application/json"}
        if self._api_key:
            headers["apikey"] = self._api_key
        try:
            with requests.get(
                f"{self._url}/schemas/{key.path}",
                headers=headers,
                timeout=self._timeout,
                stream=True,
                # A redirect would send the key to another server.
                allow_redirects=not self._api_key,
            ) as answer:
                if answer.status_code == 404:
                    return None
                if answer.status_code != 200:
                    raise RegistryError(f"answered {answer.status_code}")
                raw = b""
                for part in answer.iter_content(65_536):
                    raw += part
                    if len(raw) > _MAX_BYTES:
                        raise RegistryError(f"sent more than {_MAX_BYTES:,} bytes")
                return raw
        except requests.RequestException as error:
            raise RegistryError(_reason(error)) from error

    def _cached(self, key: SchemaKey) -> Optional[Dict[str, Any]]:
        if self._cache is None:
            return None
        path = self._cache / key.path
        try:
            if time.time() - path.stat().st_mtime > _CACHE_SECONDS:
                return None
            return schema_from(path.read_bytes())
        except (OSError, RegistryError):
            return None

    def _keep(self, key: SchemaKey, raw: bytes) -> None:
        if self._cache is None:
            return
        path = self._cache / key.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Another process must never read half a file.
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(raw)
            Path(file.name).replace(path)
        except OSError:
            # If the cache cannot be written, the next look-up makes a request.
            return

    def __repr__(self) -> str:
        return f"HttpRegistry({self.name!r})"


def registry_from(source: Union[str, os.PathLike[str]]) -> Registry:
    """Return the registry for a URL, a folder or an archive.

    Raises:
        ValueError: The source is none of these.
    """
    if isinstance(source, str) and re.match(r"https?://", source, re.IGNORECASE):
        return HttpRegistry(source)
    if Path(source).is_file():
        return ArchiveRegistry(source)
    return FolderRegistry(source)


def schema_from(raw: bytes) -> Dict[str, Any]:
    """Parse a schema.

    Raises:
        RegistryError: It is not a JSON object.
    """
    try:
        schema = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"it is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise RegistryError("it is not a JSON object")
    return schema


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "snowplow-tracker" / "schemas"


def _key_of(path: str) -> Optional[SchemaKey]:
    match = _PATH_IN_ARCHIVE.search(path)
    try:
        return None if match is None else SchemaKey.parse(f"iglu:{match[1]}")
    except ValueError:
        return None


def _in_zip(file: Union[str, os.PathLike[str]]) -> Iterator[Any]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            key = _key_of(member.filename)
            if key is not None and member.file_size <= _MAX_BYTES:
                yield key, archive.read(member)


def _in_tar(file: Union[str, os.PathLike[str]]) -> Iterator[Any]:
    with tarfile.open(file) as archive:
        for member in archive:
            key = _key_of(member.name)
            if key is not None and member.isfile() and member.size <= _MAX_BYTES:
                content = archive.extractfile(member)
                if content is not None:
                    yield key, content.read()


def _reason(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    return re.sub(r"//[^/@\s]*@", "//", text)[:300]
