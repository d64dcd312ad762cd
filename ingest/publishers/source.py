"""A source file: who publishes what, where it stands in a message, and which series it is.

See docs/reference/source-mapping.md. The mapping is the grant: what it does not name is not taken.
"""

from __future__ import annotations

import tomllib
import zoneinfo
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from enpilot.errors import ConfigurationError
from enpilot.forms import DecimalText, PositiveDecimalText, form_mistakes
from enpilot.plant import Names
from enpilot.quantities import UnitError, unit_ratio
from enpilot.settings import MqttSettings
from ingest.publishers.json_path import PathError, parse_path

__all__ = ["Folder", "MessageForm", "Repeats", "Source", "SourceFileError", "Tag", "load_source"]

_Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}\Z")]
_TimeForm = Literal["iso", "unix_s", "unix_ms", "unix_us"]
_RawType = Literal["int64", "float64"]


class SourceFileError(ConfigurationError):
    """A source file that cannot be used; names file, paths and remedies, all of them."""

    def __init__(self, file: Path, errors: list[str]) -> None:
        super().__init__(f"{file}: " + "; ".join(errors))
        self.file = file
        self.errors = errors


class _Strict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A misspelt key is refused, not ignored."""


class MessageForm(_Strict, kw_only=True):
    """Where things stand in a message, as paths of `ingest.publishers.json_path`.

    Attributes
    ----------
    each
        The items: one value of one tag each.
    tag
        The name of the tag, in the item; or "topic" with ``topic_level``, counted from 0.
    time
        When the source took the value; left out, it says no time and readings are stamped on
        arrival.
    time_zone
        Of times that say no offset themselves.
    value, quality
        Number and, perhaps, a word or number for its quality.
    good
        Which qualities are good; all others are kept as a fault of the sensor.
    """

    each: str = "$"
    tag: str = "tag"
    topic_level: Annotated[int, Meta(ge=0, le=30)] | None = None
    time: str | None = None
    time_form: _TimeForm = "iso"
    time_zone: str | None = None
    value: str = "value"
    quality: str | None = None
    good: list[str | int | float | bool] = []


class Repeats(_Strict, kw_only=True):
    """How the source repeats itself (F33).

    Attributes
    ----------
    cycle_s
        How often it sends each tag [s]; expected readings are counted by it.
    stale_after_s
        The same number under new times for longer than this is not a new reading [s].
    deadband
        Changes smaller than this are not sent [unit of the tag]; kept with the source for people.
    """

    cycle_s: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    stale_after_s: Annotated[float, Meta(gt=0)] | None = None
    deadband: PositiveDecimalText | None = None


class Tag(_Strict, kw_only=True):
    """One tag and the series that it is."""

    tag: str
    point: str
    quantity: str
    channel: str = "total"
    unit: str
    raw_type: _RawType = "float64"
    scale: PositiveDecimalText = "1"
    offset: DecimalText = "0"
    counter: Literal["lifetime", "periodic", "preset"] | None = None
    modulus: PositiveDecimalText | None = None
    rated_max_per_h: Annotated[float, Meta(gt=0)] | None = None
    stale_after_s: Annotated[float, Meta(gt=0)] | None = None


class Folder(_Strict, kw_only=True):
    """A folder into which files are put.

    Attributes
    ----------
    path
        The folder; ``done`` and ``refused`` are made inside it.
    pattern
        Names of files that are taken.
    what
        What is in them.
    mapping
        As for ``enpilot import``.
    settle_s
        A file that has not grown for so long is complete [s].
    """

    path: Path
    mapping: Path
    pattern: str = "*.csv"
    what: Literal["readings", "output", "energy"] = "readings"
    settle_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0


class Source(_Strict, kw_only=True):
    """A whole source file."""

    schema: Literal[1]
    name: _Name
    site: _Name
    kind: Literal["mqtt", "rest", "folder"]
    synthetic: Names | None = None
    topic: str | None = None
    mqtt: MqttSettings = msgspec.field(default_factory=MqttSettings)
    message: MessageForm = msgspec.field(default_factory=MessageForm)
    repeats: Repeats = msgspec.field(default_factory=Repeats)
    tag: list[Tag] = []
    folder: Folder | None = None


def load_source(file: Path) -> Source:
    """Read a source file.

    Raises
    ------
    SourceFileError
        If it is missing or cannot be used; with everything that is wrong.
    """
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SourceFileError(file, ["there is no such file"]) from error
    except OSError as error:
        raise SourceFileError(file, [f"cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceFileError(file, [f"not TOML in UTF-8: {error}"]) from error
    mistakes = list(form_mistakes(document, Source, dec_hook=_path))
    if mistakes:
        raise SourceFileError(file, mistakes)
    source = msgspec.convert(document, Source, dec_hook=_path)
    errors = [*_kind_errors(source), *_message_errors(source.message), *_tag_errors(source.tag)]
    if errors:
        raise SourceFileError(file, errors)
    if source.folder is not None:
        source.folder.path = file.parent / source.folder.path
        source.folder.mapping = file.parent / source.folder.mapping
    return source


def _kind_errors(source: Source) -> list[str]:
    if source.kind == "folder":
        errors = [] if source.folder is not None else ["a folder is missing - at `$.folder`"]
        return errors + (["a folder's tags are in its mapping - at `$.tag`"] if source.tag else [])
    errors = [] if source.tag else ["no tag is taken: add one - at `$.tag`"]
    if source.kind == "mqtt":
        topic = source.topic or ""
        if not topic or topic.startswith("$"):
            errors.append("a topic filter is missing - at `$.topic`")
        elif topic.startswith(("enpilot/", "#", "+/v1/", "+/#")):
            errors.append(f"{topic!r} would take agents' messages too - at `$.topic`")
        elif any("#" in level and level != "#" for level in topic.split("/")) or (
            "#" in topic and not topic.endswith("#")
        ):
            errors.append(f"{topic!r} is no topic filter: # stands last - at `$.topic`")
    return errors


def _message_errors(message: MessageForm) -> list[str]:
    errors = []
    for name in ("each", "tag", "time", "value", "quality"):
        text = getattr(message, name)
        if text is None or (name == "tag" and text == "topic"):
            continue
        try:
            parse_path(text)
        except PathError as error:
            errors.append(f"{error} - at `$.message.{name}`")
    if message.tag == "topic" and message.topic_level is None:
        errors.append("which level of the topic is the tag? - at `$.message.topic_level`")
    if message.quality is not None and not message.good:
        errors.append("say which qualities are good - at `$.message.good`")
    if message.time_zone is not None:
        try:
            zoneinfo.ZoneInfo(message.time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            errors.append(f"no time zone {message.time_zone!r} - at `$.message.time_zone`")
    return errors


def _tag_errors(tags: list[Tag]) -> list[str]:
    errors = []
    for kind, names in (
        ("tag", Counter(t.tag for t in tags)),
        ("series", Counter(f"{t.point} {t.quantity} {t.channel}" for t in tags)),
    ):
        errors += [f"{kind} {n!r} stands {c} times - at `$.tag`" for n, c in names.items() if c > 1]
    for i, tag in enumerate(tags):
        try:
            unit_ratio(tag.quantity, tag.unit)
        except UnitError as error:
            errors.append(f"{error} - at `$.tag[{i}]`")
        if tag.modulus is not None and tag.counter is None:
            errors.append(f"a modulus is of a counter - at `$.tag[{i}].counter`")
        if tag.modulus is not None and Decimal(tag.modulus) <= 0:
            errors.append(f"the modulus must be above zero - at `$.tag[{i}].modulus`")
    return errors


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    # msgspec adds the path in the file to a ValueError, and to no other.
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
