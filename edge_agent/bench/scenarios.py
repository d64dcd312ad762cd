"""The scenarios of ``enpilot bench edge``: their plants, their processes and their figures."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from edge_agent.bench.contenders import Contest, Measured
from edge_agent.bench.far_side import FarSide
from edge_agent.outbox import read_batches
from edge_agent.plan import ReadPlan, plan_for_agent
from edge_agent.profile import ProfileRegister
from enpilot.demo.broker import broker_command
from enpilot.demo.processes import free_port
from enpilot.plant import load_plant
from enpilot.wire import Quality

__all__ = ["Bench"]

_REGISTERS: Final = 40
# A few registers that nobody wants lie in between, as in most meters' maps.
_GAP_AFTER, _GAP = 20, 4
_UNITS_PER_GATEWAY: Final = 20
_FLAT_OUT_S: Final = 0.001
_SLOW_GATEWAY_S: Final = 0.02
_START_S: Final = 20.0

Contender = Literal["agent", "blocks", "registers"]


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs scenarios in a folder, one process a contender and one for what it talks to.

    Parameters
    ----------
    folder
        For plant files and outboxes.
    seconds
        How long the scan at a period of one second is watched [s]; the others are in proportion.
    """

    folder: Path
    seconds: float

    def run(self) -> dict[str, Any]:
        """Return the figures, in the units that their names say."""
        return {
            "scan": self._scan(100, self.seconds),
            "growth": [self._scan(units, self.seconds / 4) for units in (10, 100, 1000)],
            "flat_out": self._compete(0.0),
            "slow_gateways": self._compete(_SLOW_GATEWAY_S),
            "silent_units": self._silent(),
        }

    def _scan(self, units: int, seconds: float) -> dict[str, Any]:
        with self._far_side(units) as (plant, broker_port):
            plan = _plan(plant)
            measured = self._measure("agent", plant, broker_port, seconds)
        scans = measured.polls + measured.skipped
        return {
            "units": units,
            "values_per_scan": sum(
                len(b.registers) for _, us in plan.lines for u in us for b in u.blocks
            ),
            "requests_per_scan": plan.requests_per_scan,
            "minimum_requests_per_scan": _minimum_requests(plan),
            "scans": scans,
            "late_scans": (measured.late + measured.skipped) / scans,
            "rss_mb": measured.rss_mb,
            "cpu_seconds_per_1000_readings": measured.cpu_seconds_per_1000_values,
        }

    def _compete(self, delay_s: float) -> dict[str, Any]:
        seconds = self.seconds / 6
        rounds: dict[str, list[Measured]] = {"blocks": [], "agent": [], "registers": []}
        with self._far_side(100, delay_s) as (plant, broker_port):
            for _ in range(3):  # in turn, since a machine is not equally fast all the time
                for contender in ("blocks", "agent"):
                    rounds[contender].append(
                        self._measure(contender, plant, broker_port, seconds, _FLAT_OUT_S)
                    )
            rounds["registers"].append(
                self._measure("registers", plant, broker_port, seconds, _FLAT_OUT_S)
            )
        speed = {c: statistics.median(m.values_per_s for m in ms) for c, ms in rounds.items()}
        cpu = {
            c: statistics.median(m.cpu_seconds_per_1000_values for m in ms)
            for c, ms in rounds.items()
        }
        return {
            "gateway_delay_s": delay_s,
            "values_per_s": speed["agent"],
            "pymodbus_block_reads_values_per_s": speed["blocks"],
            "one_request_per_register_values_per_s": speed["registers"],
            "share_of_pymodbus": speed["agent"] / speed["blocks"],
            "speedup": speed["agent"] / speed["registers"],
            "cpu_seconds_per_1000_values": cpu["agent"],
            "pymodbus_block_reads_cpu_seconds_per_1000_values": cpu["blocks"],
            "one_request_per_register_cpu_seconds_per_1000_values": cpu["registers"],
        }

    def _silent(self) -> dict[str, Any]:
        """One unit of 20 on every gateway says nothing for the middle third."""
        third = self.seconds / 3
        began_s = time.time() + _START_S
        window = (began_s + third, began_s + 2 * third)
        silent = {7: window}
        with self._far_side(100, silent=silent) as (plant, broker_port):
            plan = _plan(plant)
            self._measure("agent", plant, broker_port, 3 * third, warm_up_s=began_s - time.time())
        silent_groups = {
            b.group for _, units in plan.lines for u in units if u.unit in silent for b in u.blocks
        }
        good: dict[int, set[int]] = {}
        for group in (g for b in read_batches(self.folder / "outbox.sqlite") for g in b.groups):
            seconds = {
                round((group.ts + dt) / 1e6)
                for i, dt in enumerate(group.dt)
                if group.quality is None or group.quality[0][i] == Quality.GOOD
            }
            good.setdefault(group.group, set()).update(seconds)
        others = [g for g in good if g not in silent_groups]

        def kept(groups: list[int], since_s: float, until_s: float) -> float:
            wanted = range(int(since_s) + 1, int(until_s))
            return sum(s in good.get(g, ()) for g in groups for s in wanted) / (
                len(groups) * len(wanted)
            )

        return {
            "silent_share": 1 / _UNITS_PER_GATEWAY,
            "scans_kept_by_the_others": kept(others, *window),
            "scans_kept_by_the_others_from_two_periods_after": kept(
                others, window[1] + 2, began_s + 3 * third
            ),
            "silent_units_back_after_s": max(
                min((s for s in good.get(g, ()) if s >= window[1]), default=float("inf"))
                - window[1]
                for g in silent_groups
            ),
        }

    def _measure(
        self,
        contender: Contender,
        plant: Path,
        broker_port: int,
        seconds: float,
        period_s: float | None = None,
        warm_up_s: float = 3.0,
    ) -> Measured:
        outbox = self.folder / "outbox.sqlite"
        for left in self.folder.glob("outbox.sqlite*"):
            left.unlink()
        contest = Contest(
            contender=contender, plant=plant, seconds=seconds, warm_up_s=warm_up_s,
            period_s=period_s, outbox=outbox, broker_port=broker_port,
        )  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "edge_agent.bench.contenders", _text(contest)],
            stdout=subprocess.PIPE, check=True, timeout=warm_up_s + seconds + 60,
        )  # fmt: skip
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=Measured)

    @contextmanager
    def _far_side(
        self, units: int, delay_s: float = 0.0, silent: dict[int, tuple[float, float]] | None = None
    ) -> Iterator[tuple[Path, int]]:
        ports = [free_port() for _ in range(-(-units // _UNITS_PER_GATEWAY))]
        broker_port = free_port()
        far = FarSide(ports=ports, delay_s=delay_s, silent=silent or {}, broker_port=broker_port)
        with ExitStack() as stack:
            for command in (
                broker_command(self.folder, broker_port)[1],
                [sys.executable, "-m", "edge_agent.bench.far_side", _text(far)],
            ):
                process = subprocess.Popen(command, env=dict(os.environ))
                stack.callback(process.wait)
                stack.callback(process.terminate)
                time.sleep(1.0)
            yield _write_plant(self.folder, ports, units), broker_port


def _text(message: msgspec.Struct) -> str:
    return msgspec.json.encode(message, enc_hook=str).decode()


def _plan(plant: Path) -> ReadPlan:
    return plan_for_agent(load_plant(plant), "bench", plant)


def _write_plant(folder: Path, ports: list[int], units: int) -> Path:
    profile = [
        'code = "bench"\nmaker = "none"\nmodels = []\nsource = "none"\nverified = false\n',
        *(
            f'[[register]]\naddress = {i + _GAP * (i >= _GAP_AFTER)}\ntype = "uint16"\n'
            f'quantity = "status"\nchannel = "c{i}"\nunit = "1"\n'
            for i in range(_REGISTERS)
        ),
    ]
    (folder / "bench.toml").write_text("".join(profile), "utf-8")
    name = 'name = { zh = "测试", en = "bench" }\n'
    plant = [
        "schema = 1\n",
        f'[site]\ncode = "bench"\n{name}timezone = "Asia/Shanghai"\nfrom = 2026-01-01\n',
        '[[agent]]\nid = "bench"\nsimulated = true\n',
        *(
            f'[[line]]\ncode = "l{i}"\nagent = "bench"\nhost = "127.0.0.1"\nport = {port}\n'
            for i, port in enumerate(ports)
        ),
    ]
    for i in range(units):
        gateway, unit = divmod(i, _UNITS_PER_GATEWAY)
        plant.append(
            f'[[device]]\ncode = "d{i}"\nline = "l{gateway}"\nunit = {unit + 1}\n'
            f'profile = "bench.toml"\nperiod_s = 1\n'
            f'[[point]]\ncode = "p{i}"\n{name}medium = "electricity"\nrole = "check"\n'
            f'[[installation]]\npoint = "p{i}"\ndevice = "d{i}"\n'
        )
    file = folder / "plant.toml"
    file.write_text("".join(plant), "utf-8")
    return file


def _minimum_requests(plan: ReadPlan) -> int:
    """Return the fewest requests there can be, found without the planner."""
    return sum(
        _fewest(unit.parts[0].profile.register, unit.parts[0].profile.max_gap)
        for _, units in plan.lines
        for unit in units
    )


def _fewest(registers: list[ProfileRegister], max_gap: int, longest: int = 125) -> int:
    ordered = sorted(registers, key=lambda r: r.address)
    fewest = [0] + [len(ordered)] * len(ordered)
    for end in range(1, len(ordered) + 1):
        for start in range(end):
            run = ordered[start:end]
            length = run[-1].address + run[-1].width - run[0].address
            gaps = (b.address - a.address - a.width for a, b in pairwise(run))
            if length <= longest and all(g <= max_gap for g in gaps):
                fewest[end] = min(fewest[end], fewest[start] + 1)
    return fewest[-1]
