"""Write what other publishers say, as exactly once as their messages allow (D16, F33).

A message with its own time has a content key, kept for 72 hours: what comes again is a duplicate,
in whatever order. Without a time of its own nothing tells a repetition from a second message that
says the same; such readings are stored at least once, and their stream says so.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import psycopg

from enpilot.database import draw_commit_no
from enpilot.wire import Quality, SeriesDeclaration
from ingest import ledger, quarantine
from ingest.accept import Refused
from ingest.arrays import byteas
from ingest.counts import Counts, add_counts
from ingest.errors import SourceError
from ingest.meaning import Meaning, agree, open_epoch, series_of
from ingest.publishers.payload import Sample, SampleReader, UnreadableError
from ingest.publishers.source import Source
from ingest.publishers.staleness import Repeated, mark_stale
from ingest.rows import KIND_INT, KIND_NULL, KIND_REAL, Readings, batch_number
from ingest.touched import mark_touched, touched_by
from ingest.writer import write_readings

__all__ = ["Arrived", "SourceWriter", "WrittenSamples"]

_KEEP_CONTENT: Final = "72 hours"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it came: topic (empty for HTTP), bytes, and when [µs since 1970]."""

    topic: str
    payload: bytes
    received_us: int


@dataclass(slots=True)
class WrittenSamples:
    """What became of a group of messages; ``refused`` has a sentence for each that is not taken."""

    stored: int = 0
    duplicates: int = 0
    stale: int = 0
    refused: list[str] = field(default_factory=list)


class SourceWriter:
    """Writes the messages of one source; opens a stream at its first group (D1).

    Parameters
    ----------
    source
        Its file.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.reader = SampleReader(source)
        self._meanings: dict[str, Meaning] | None = None
        self._stream = uuid.uuid4()
        self._seq = 0
        # Series whose epoch holds from .. until [µs]: nothing to agree on again in between.
        self._agreed: dict[int, tuple[int, int]] = {}
        # No agent's id has a colon, so that their counters never mix.
        self.counted_as = f"source:{source.name}"

    def forget(self) -> None:
        """Forget what was looked up: after the database was away, or to see new records."""
        self._meanings = None
        self._agreed = {}

    def write(
        self, connection: psycopg.Connection[Any], messages: Sequence[Arrived]
    ) -> WrittenSamples:
        """Write a group of messages in one transaction.

        Parameters
        ----------
        connection
            Not inside a transaction.
        messages
            In the order of arrival.

        Raises
        ------
        SourceError
            If the plant knows no such site or point; nothing was written.
        """
        meanings = self._known_meanings(connection)
        samples: list[Sample] = []
        refused: list[Refused] = []
        for message in messages:
            try:
                read, wrong = self.reader.read(message.topic, message.payload, message.received_us)
            except UnreadableError as error:
                read, wrong = [], [error]
            samples += read
            # One row a message: its sentence names the first tag that is wrong.
            if wrong:
                refused.append(self._refused(message, wrong))
        # A group that may have been committed before its connection broke keeps its number.
        seq = self._seq + 1
        result = WrittenSamples(refused=[r.sentence for r in refused])
        with connection.transaction():
            stream_no = self._open_stream(connection)
            claim = ledger.Claim(stream_no, seq, _digest(messages), None, len(samples), None, None)
            if (stream_no, seq) in ledger.claim(connection, [claim]).new:
                self._write(connection, samples, refused, meanings, (stream_no, seq), result)
        self._seq = seq
        return result

    def _write(
        self,
        connection: psycopg.Connection[Any],
        samples: list[Sample],
        refused: list[Refused],
        meanings: dict[str, Meaning],
        number: tuple[int, int],
        result: WrittenSamples,
    ) -> None:
        new = self._without_known(connection, samples)
        result.duplicates = len(samples) - len(new)
        new, stale = self._judged(connection, new, meanings)
        result.stored, result.stale = len(new), sum(stale)
        rows = _rows(new, stale, meanings, batch_number(*number)) if new else None
        if rows is not None:
            write_readings(connection, rows)
        quarantine.keep(connection, refused)
        counts = Counts(
            batches_received=1, batches_stored=1, readings_stored=len(new),
            readings_duplicated=result.duplicates, readings_refused=len(refused),
        )  # fmt: skip
        if rows is not None:
            counts.last_reading_us = int(rows.ts_us.max())
        add_counts(connection, {self.counted_as: counts})
        commit_no = draw_commit_no(connection)
        ledger.number_claims(connection, {number}, commit_no)
        if rows is not None:
            touched = touched_by(rows)
            mark_touched(connection, touched, commit_no)
            by_series = {m.series_id: m for m in meanings.values()}
            for series_id, first_us in zip(
                touched.series_id.tolist(), touched.first_us.tolist(), strict=True
            ):
                since, until = self._agreed.get(series_id, (1, 0))
                if not since <= first_us < until:
                    meaning = by_series[series_id]
                    # A mapping that was mended means something else from its first reading on.
                    open_epoch(connection, meaning, _instant(first_us), commit_no)
                    self._agreed[series_id] = agree(connection, [meaning], first_us, commit_no)

    def look_up(self, connection: psycopg.Connection[Any]) -> None:
        """See whether the plant has what the source names; raises `SourceError`."""
        self._known_meanings(connection)

    def prune(self, connection: psycopg.Connection[Any]) -> int:
        """Forget content that is older than 72 hours; return how many keys went."""
        return connection.execute(
            f"DELETE FROM source_content WHERE seen_at < now() - interval '{_KEEP_CONTENT}'"
        ).rowcount

    def _known_meanings(self, connection: psycopg.Connection[Any]) -> dict[str, Meaning]:
        if self._meanings is not None:
            return self._meanings
        source = self._source
        with connection.transaction():
            row = connection.execute(
                "SELECT site_id FROM site WHERE code = %s", (source.site,)
            ).fetchone()
            if row is None:
                raise SourceError(
                    f"source {source.name}: no site {source.site!r}: import its plant"
                )
            points = dict(
                connection.execute(
                    "SELECT code, point_id FROM point WHERE site_id = %s", (row[0],)
                ).fetchall()
            )
            missing = sorted({t.point for t in source.tag} - points.keys())
            if missing:
                raise SourceError(
                    f"source {source.name}: site {source.site!r} has no point "
                    f"{', '.join(map(repr, missing))}: import a plant file with it"
                )
            connection.execute(
                "INSERT INTO publisher (name, site_id, kind, simulated, cycle_s)"
                " VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT (name) DO UPDATE SET site_id = excluded.site_id,"
                " kind = excluded.kind, simulated = excluded.simulated,"
                " cycle_s = excluded.cycle_s, seen_at = now()",
                (
                    source.name, row[0], source.kind, source.synthetic is not None,
                    source.repeats.cycle_s,
                ),
            )  # fmt: skip
            self._meanings = {
                t.tag: Meaning(
                    series_of(connection, row[0], points[t.point], t.quantity, t.channel),
                    SeriesDeclaration(
                        point=t.point, quantity=t.quantity, channel=t.channel, unit=t.unit,
                        raw_type=t.raw_type, register_scale=t.scale, offset=t.offset,
                        counter=t.counter, modulus=t.modulus, rated_max_per_h=t.rated_max_per_h,
                    ),
                    max(1, round(source.repeats.cycle_s)), "import", None,
                    f"source {source.name}",
                )
                for t in source.tag
            }  # fmt: skip
        return self._meanings

    def _open_stream(self, connection: psycopg.Connection[Any]) -> int:
        label = self._source.synthetic
        connection.execute(
            "INSERT INTO stream (stream, origin, source, simulated, label_zh, label_en, author,"
            " stamped_on_arrival) VALUES (%s, 'api', %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                self._stream, self._source.name, label is not None, label and label.zh,
                label and label.en, f"source {self._source.name}",
                self._source.message.time is None,
            ),
        )  # fmt: skip
        row = connection.execute(
            "SELECT stream_no FROM stream WHERE stream = %s", (self._stream,)
        ).fetchone()
        assert row is not None  # inserted above, or by an earlier group
        connection.execute(
            "INSERT INTO stream_state (stream_no) VALUES (%s) ON CONFLICT DO NOTHING", row
        )
        return int(row[0])

    def _without_known(
        self, connection: psycopg.Connection[Any], samples: list[Sample]
    ) -> list[Sample]:
        keys = {_key(s): s for s in samples if s.own_time}
        if not keys:
            return samples
        fresh = {
            bytes(row[0])
            for row in connection.execute(
                "INSERT INTO source_content (source, key)"
                " SELECT %s, k FROM unnest(%s::bytea[]) AS k ORDER BY k"
                " ON CONFLICT DO NOTHING RETURNING key",
                (self._source.name, byteas(sorted(keys))),
            )
        }
        return [s for k, s in keys.items() if k in fresh] + [s for s in samples if not s.own_time]

    def _judged(
        self,
        connection: psycopg.Connection[Any],
        samples: list[Sample],
        meanings: dict[str, Meaning],
    ) -> tuple[list[Sample], list[bool]]:
        """Return samples by series and time, and which of them are stale."""
        by_series: dict[int, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_series[meanings[sample.tag.tag].series_id].append(sample)
        limits = {
            series_id: limit_s
            for series_id, some in by_series.items()
            if (limit_s := some[0].tag.stale_after_s or self._source.repeats.stale_after_s)
        }
        states = _states(connection, sorted(limits))
        ordered: list[Sample] = []
        stale: list[bool] = []
        for series_id, some in sorted(by_series.items()):
            some.sort(key=lambda s: s.ts_us)
            ordered += some
            limit_s = limits.get(series_id)
            if limit_s is None:
                stale += [False] * len(some)
                continue
            shown = [(s.ts_us, repr(s.value)) for s in some]
            state, judged = mark_stale(states.get(series_id), shown, round(limit_s * 1e6))
            stale += judged
            if state is not None:
                states[series_id] = state
        _keep_states(connection, {s: states[s] for s in sorted(limits)})
        return ordered, stale

    def _refused(self, message: Arrived, wrong: list[UnreadableError]) -> Refused:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Refused(
            message.topic or f"http/{self._source.name}", message.payload, wrong[0].code,
            f"{wrong[0]}{more}", self.counted_as,
        )  # fmt: skip


def _digest(messages: Sequence[Arrived]) -> bytes:
    digest = hashlib.sha256()
    for message in messages:
        digest.update(len(message.payload).to_bytes(8, "big") + message.payload)
    return digest.digest()


def _key(sample: Sample) -> bytes:
    text = f"{sample.tag.tag}\0{sample.ts_us}\0{sample.value!r}\0{sample.quality}"
    return hashlib.sha256(text.encode()).digest()[:16]


def _rows(
    samples: list[Sample], stale: list[bool], meanings: dict[str, Meaning], batch: int
) -> Readings:
    n = len(samples)
    whole, real = np.zeros(n, np.int64), np.zeros(n, np.float64)
    kind = np.full(n, KIND_NULL, np.int8)
    quality = np.zeros(n, np.int16)
    for i, (sample, repeated) in enumerate(zip(samples, stale, strict=True)):
        quality[i] = sample.quality
        if repeated and sample.quality == Quality.GOOD:
            quality[i] = Quality.STALE
        if sample.value is None:
            continue
        if sample.tag.raw_type == "int64":
            kind[i], whole[i] = KIND_INT, sample.value
        else:
            kind[i], real[i] = KIND_REAL, sample.value
    return Readings(
        np.array([s.ts_us for s in samples], np.int64),
        np.array([meanings[s.tag.tag].series_id for s in samples], np.int32),
        kind, whole, real, quality, np.zeros(n, np.int16), np.full(n, batch, np.int64),
    )  # fmt: skip


def _states(connection: psycopg.Connection[Any], series_ids: list[int]) -> dict[int, Repeated]:
    if not series_ids:
        return {}
    return {
        series_id: Repeated(value, _microseconds(since), _microseconds(last))
        for series_id, value, since, last in connection.execute(
            "SELECT series_id, value, since_ts, last_ts FROM source_value"
            " WHERE series_id = ANY(%s) ORDER BY series_id FOR UPDATE",
            (series_ids,),
        )
    }


def _keep_states(connection: psycopg.Connection[Any], states: dict[int, Repeated]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO source_value (series_id, value, since_ts, last_ts) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (series_id) DO UPDATE SET value = excluded.value,"
            " since_ts = excluded.since_ts, last_ts = excluded.last_ts",
            [
                (series_id, state.value, _instant(state.since_us), _instant(state.last_us))
                for series_id, state in states.items()
            ],
        )


def _microseconds(at: dt.datetime) -> int:
    return (at - _EPOCH) // dt.timedelta(microseconds=1)


def _instant(us: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=us)
