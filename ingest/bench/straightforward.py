"""What people write first: a paho subscriber, executemany with ON CONFLICT, a primary key."""

from __future__ import annotations

import signal
import sys
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from enpilot.database import connect
from enpilot.wire import decode_batch, decode_data, topic

__all__ = ["TABLE", "main"]

TABLE = (
    "CREATE TABLE bench_plain (ts timestamptz NOT NULL, series text NOT NULL,"
    " value float8, quality smallint NOT NULL, PRIMARY KEY (series, ts))"
)
_INSERT = (
    "INSERT INTO bench_plain (ts, series, value, quality)"
    " VALUES (timestamptz 'epoch' + %s * interval '1 microsecond', %s, %s, 0)"
    " ON CONFLICT DO NOTHING"
)


def main() -> None:
    """Write what comes to the database of the second argument, from the port of the first."""
    connection = connect(sys.argv[2], "bench straightforward")

    def on_message(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        data = decode_data(bytes(message.payload))
        rows = [
            (group.ts + offset, f"{data.agent}/{group.group}/{column}", values[i])
            for group in decode_batch(data.batch).groups
            for column, values in enumerate(group.values)
            for i, offset in enumerate(group.dt)
        ]
        with connection.cursor() as cursor:
            cursor.executemany(_INSERT, rows)
        connection.commit()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, "bench-straightforward")
    client.on_message = on_message
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.subscribe(topic("+", "data"), 1)
    signal.signal(signal.SIGTERM, lambda *_: client.disconnect())
    print("ready", flush=True)
    client.loop_forever()


if __name__ == "__main__":
    main()
