"""Settings: one TOML file for each service, typed; secrets come from the environment only."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from enpilot.errors import ConfigurationError

__all__ = ["MqttSettings", "SettingsError", "load_settings", "require_environment"]

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


class SettingsError(ConfigurationError):
    """A settings file or an environment variable that cannot be used."""


class MqttSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How to reach the broker; the password comes from the environment, never from a file."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    username: str | None = None
    password_variable: str = "ENPILOT_MQTT_PASSWORD"  # noqa: S105  # a name, not a password
    tls_ca_file: Path | None = None
    keepalive_s: Annotated[int, Meta(ge=1, le=65535)] = 30

    def password(self) -> str | None:
        """Return the password from the environment, None if none is set."""
        return os.environ.get(self.password_variable)


def load_settings(file: Path | None, kind: type[_Settings]) -> _Settings:
    """Read a settings file.

    Parameters
    ----------
    file
        A TOML file, or None for the defaults.
    kind
        The structure to read; unknown keys are refused if it forbids them.

    Raises
    ------
    SettingsError
        With file, path in the file and what is wrong there.
    """
    try:
        document = tomllib.loads(file.read_text("utf-8")) if file is not None else {}
        return msgspec.convert(document, kind, dec_hook=_path)
    except FileNotFoundError as error:
        raise SettingsError(f"{file}: there is no such file") from error
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not TOML in UTF-8: {error}") from error
    except msgspec.ValidationError as error:
        raise SettingsError(f"{file or 'defaults'}: {error}") from error


def require_environment(variable: str, purpose: str) -> str:
    """Return an environment variable that must be set.

    Raises
    ------
    SettingsError
        Naming the variable and what it is for.
    """
    value = os.environ.get(variable, "")
    if not value:
        raise SettingsError(f"set {variable}: {purpose}")
    return value


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    # msgspec adds the path in the file to a ValueError, and to no other.
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
