"""A message of another publisher into samples of tags; needs no database."""

from __future__ import annotations

import datetime as dt
import math
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from enpilot.wire import MAX_WIRE_BYTES, Quality, Refusal
from ingest.accept import MAX_AHEAD_US
from ingest.publishers.json_path import Item, Path, parse_path
from ingest.publishers.source import Source, Tag

__all__ = ["Sample", "SampleReader", "UnreadableError", "read_samples"]

_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_A_MICROSECOND: Final = dt.timedelta(microseconds=1)
_INT64_MAX: Final = 2**63 - 1
_PER_UNIT_US: Final = {"unix_s": 1_000_000, "unix_ms": 1_000, "unix_us": 1}
# Three decimal digits of a float are exact to the microsecond until 2100.
_LAST_US: Final = 4_102_444_800_000_000


class UnreadableError(Exception):
    """A message, or a part of it, that is not taken: for quarantine, with code and sentence."""

    def __init__(self, code: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of one tag.

    Attributes
    ----------
    tag
        What the source file says of it.
    ts_us
        When the source took it, or when it arrived [µs since 1970].
    own_time
        Whether the source said when.
    value
        As it stood in the message; None if there was no number.
    quality
        See `enpilot.wire.Quality`.
    """

    tag: Tag
    ts_us: int
    own_time: bool
    value: int | float | None
    quality: int


class SampleReader:
    """Reads messages of one source.

    Parameters
    ----------
    source
        Its file.
    """

    def __init__(self, source: Source) -> None:
        form = source.message
        self._form = form
        self._tags = {t.tag: t for t in source.tag}
        self._each = parse_path(form.each)
        self._tag = None if form.tag == "topic" else parse_path(form.tag)
        self._time = None if form.time is None else parse_path(form.time)
        self._value = parse_path(form.value)
        self._quality = None if form.quality is None else parse_path(form.quality)
        self._zone = None if form.time_zone is None else zoneinfo.ZoneInfo(form.time_zone)
        self._good = {_word(g) for g in form.good}
        self.unknown_tags: set[str] = set()

    def read(
        self, topic: str, payload: bytes, received_us: int
    ) -> tuple[list[Sample], list[UnreadableError]]:
        """Return the samples of a message, and what in it cannot be read.

        Parameters
        ----------
        topic
            As it came; empty for HTTP.
        received_us
            When it came [µs since 1970].

        Raises
        ------
        UnreadableError
            If nothing of it can be read: too large, not JSON, no item where items should be.
        """
        if len(payload) > MAX_WIRE_BYTES:
            raise UnreadableError(
                Refusal.TOO_LARGE, f"{len(payload)} bytes; at most {MAX_WIRE_BYTES}: send less"
            )
        try:
            root = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableError(Refusal.MALFORMED, f"not JSON: {error}") from error
        items = self._each.items(root)
        if not items:
            raise UnreadableError(
                Refusal.MALFORMED, f"nothing stands at {self._form.each!r}: see `message.each`"
            )
        samples: list[Sample] = []
        wrong: list[UnreadableError] = []
        for item in items:
            try:
                sample = self._sample(topic, root, item, received_us)
            except UnreadableError as error:
                wrong.append(error)
                continue
            if sample is not None:
                samples.append(sample)
        return samples, wrong

    def _sample(self, topic: str, root: Any, item: Item, received_us: int) -> Sample | None:
        name = self._name(topic, root, item)
        tag = self._tags.get(name)
        if tag is None:
            if len(self.unknown_tags) < 1000:
                self.unknown_tags.add(name)
            return None
        own_us = self._instant(name, root, item)
        if own_us is not None and own_us > received_us + MAX_AHEAD_US:
            raise UnreadableError(
                Refusal.FUTURE_TIMESTAMP,
                f"tag {name!r} is stamped more than 10 minutes from now: check the source's clock",
            )
        quality = int(Quality.GOOD)
        if self._quality is not None:
            said = self._quality.one(root, item)
            if _word(said) not in self._good:
                quality = int(Quality.SENSOR_FAULT)
        value = _number(self._value, root, item, tag)
        if value is None and quality == Quality.GOOD:
            quality = int(Quality.NOT_AVAILABLE)
        if isinstance(value, float) and not math.isfinite(value):
            value, quality = None, int(Quality.NOT_FINITE)
        return Sample(
            tag, received_us if own_us is None else own_us, own_us is not None, value, quality
        )

    def _name(self, topic: str, root: Any, item: Item) -> str:
        if self._tag is None:
            levels = topic.split("/")
            level = self._form.topic_level or 0
            if level >= len(levels):
                raise UnreadableError(
                    Refusal.MALFORMED, f"topic {topic!r} has no level {level}: see `topic_level`"
                )
            return levels[level]
        name = self._tag.one(root, item)
        if not isinstance(name, str | int):
            raise UnreadableError(
                Refusal.MALFORMED, f"no tag stands at {self._tag.text!r}: see `message.tag`"
            )
        return str(name)

    def _instant(self, name: str, root: Any, item: Item) -> int | None:
        if self._time is None:
            return None
        said = self._time.one(root, item)
        try:
            us = self._microseconds(said)
        except (ValueError, TypeError, OverflowError) as error:
            raise UnreadableError(
                Refusal.MALFORMED,
                f"tag {name!r}: {said!r:.60} is no time of the form {self._form.time_form!r}"
                f" ({error})",
            ) from error
        if not 0 <= us <= _LAST_US:
            raise UnreadableError(
                Refusal.MALFORMED, f"tag {name!r}: {said!r:.60} is not between 1970 and 2100"
            )
        return us

    def _microseconds(self, said: Any) -> int:
        if self._form.time_form != "iso":
            if isinstance(said, bool) or not isinstance(said, int | float | str):
                raise TypeError("not a number")
            number = float(said) if isinstance(said, str) else said
            return round(number * _PER_UNIT_US[self._form.time_form])
        if not isinstance(said, str):
            raise TypeError("not a text")
        at = dt.datetime.fromisoformat(said)
        if at.tzinfo is None:
            if self._zone is None:
                raise ValueError("no offset, and no `message.time_zone`")
            at = at.replace(tzinfo=self._zone)
            if at.utcoffset() != at.replace(fold=1).utcoffset():
                raise ValueError("the clock shows this time twice, or not at all: send an offset")
        return (at - _UNIX) // _A_MICROSECOND


def read_samples(
    source: Source, topic: str, payload: bytes, received_us: int
) -> tuple[list[Sample], list[UnreadableError]]:
    """Read one message; see `SampleReader.read`."""
    return SampleReader(source).read(topic, payload, received_us)


def _word(said: Any) -> str:
    """Return a quality as a word: 192 and "192" are the same, True is "true"."""
    return str(said).strip().lower()


def _number(path: Path, root: Any, item: Item, tag: Tag) -> int | float | None:
    said = path.one(root, item)
    if said is None:
        return None
    convert: Callable[[Any], int | float] = _whole if tag.raw_type == "int64" else float
    try:
        return convert(said)
    except (ValueError, TypeError, OverflowError) as error:
        raise UnreadableError(
            Refusal.MALFORMED, f"tag {tag.tag!r}: {said!r:.60} is no {tag.raw_type}: {error}"
        ) from error


def _whole(said: Any) -> int:
    number = int(said) if isinstance(said, int | str) else said
    if isinstance(number, float):
        if number != math.floor(number) or abs(number) > 2**53:
            raise ValueError("not a whole number that is exact")
        number = int(number)
    if not isinstance(number, int) or not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise OverflowError("does not fit 63 bits")
    return number
