"""How each kind of fault is done."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from typing import Final

import asyncpg

from tests.faults.plan import Fault
from tests.faults.workers import Slot, Worker
from tests.faults.world import DATABASE, World
from tests.support.databases import with_database

FIRE_SECONDS: Final = 25.0
"""A named point that is not reached after so long (the worker may own nothing) becomes a plain kill."""
JOIN_SECONDS: Final = 15.0


class Injector:
    """Does faults to a world."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = random.Random(f"moments {seed}")

    async def inject(self, fault: Fault) -> None:
        """Do it, and return when it is over."""
        await getattr(self, f"_{fault.kind}")(fault)
        self._world.report.faults[fault.kind] += 1

    def _slot(self, fault: Fault) -> Slot:
        return self._world.slots[fault.service, fault.worker]

    # -- the workers

    async def _kill(self, fault: Fault) -> None:
        slot = self._slot(fault)
        async with slot.lock:
            worker = await slot.current()
            # At any age: while it starts, while it reads its state back, at work.
            await worker.ended(fault.seconds)
            worker.signal(signal.SIGKILL, "kill")
            await worker.ended()

    async def _crash_point(self, fault: Fault) -> None:
        slot = self._slot(fault)
        async with slot.lock:
            worker = await self._armed(slot, {"BOTPULSE_CRASH_POINT": f"{fault.point}:{fault.nth}"}, "crash_point")
            if not await worker.ended(FIRE_SECONDS):
                self._world.report.notes["crash point not reached, killed instead"] += 1
                worker.signal(signal.SIGKILL, "kill")
                await worker.ended()
            elif worker.status != -signal.SIGKILL:
                self._world.report.notes["ended before its crash point"] += 1

    async def _armed(self, slot: Slot, environment: dict[str, str], asked: str) -> Worker:
        """Replace the slot's worker by one with these settings."""
        before = await slot.current()
        slot.next_environment = environment
        before.signal(signal.SIGKILL, "kill")
        worker = await slot.successor(before)
        worker.asked = asked
        return worker

    async def _zombie(self, fault: Fault) -> None:
        slot = self._slot(fault)
        async with slot.lock:
            worker = await slot.current()
            await worker.until(lambda: worker.at_work, JOIN_SECONDS)
            await worker.ended(self._rng.uniform(0.0, 1.0))
            worker.signal(signal.SIGSTOP)
            await self._hold(slot, worker, fault)

    async def _freeze_point(self, fault: Fault) -> None:
        slot = self._slot(fault)
        async with slot.lock:
            worker = await self._armed(slot, {"BOTPULSE_FREEZE_POINT": f"{fault.point}:{fault.nth}"}, "")
            if not await worker.until(lambda: worker.frozen, FIRE_SECONDS):
                self._world.report.notes["freeze point not reached, frozen anywhere instead"] += 1
                worker.signal(signal.SIGSTOP)
            await self._hold(slot, worker, fault)

    async def _hold(self, slot: Slot, worker: Worker, fault: Fault) -> None:
        """Keep a worker frozen beyond its session, then let it go on; it may find out, or end."""
        companion: Worker | None = None
        try:
            if fault.companion:
                companion = self._world.start_worker(slot.service, f"{slot.service}-successor", {})
            await asyncio.sleep(fault.seconds)
        finally:
            worker.signal(signal.SIGCONT)
        await worker.ended(2.0)
        if companion is not None:
            await self._leave(companion, signal.SIGTERM)

    async def _restart(self, fault: Fault) -> None:
        slot = self._slot(fault)
        async with slot.lock:
            worker = await slot.current()
            await worker.ended(fault.seconds)
            await self._terminate(worker)

    async def _terminate(self, worker: Worker) -> None:
        worker.signal(signal.SIGTERM, "term")
        started = time.monotonic()
        # A frozen broker may hold it up; not for longer than the pause.
        while not await worker.ended(25.0):
            if not self._world.outage_lately or time.monotonic() - started > 90:
                self._world.report.error(f"{worker.name} (pid {worker.pid}) did not end after SIGTERM")
                worker.signal(signal.SIGKILL, "kill")
                await worker.ended()

    async def _leave(self, worker: Worker, how: signal.Signals) -> None:
        """End a worker that has no slot."""
        if how == signal.SIGKILL:
            worker.signal(how, "kill")
            await worker.ended()
        else:
            await self._terminate(worker)
        self._world.worker_ended(worker)

    async def _storm(self, fault: Fault) -> None:
        """A third worker joins and leaves, again and again."""
        until = time.monotonic() + fault.seconds
        while time.monotonic() < until:
            worker = self._world.start_worker(fault.service, f"{fault.service}-guest", {})
            try:
                await worker.until(lambda worker=worker: worker.at_work, JOIN_SECONDS)  # type: ignore[misc]
                await worker.ended(self._rng.uniform(1.0, 3.0))
            finally:
                await self._leave(worker, self._rng.choice((signal.SIGTERM, signal.SIGTERM, signal.SIGKILL)))
            await asyncio.sleep(self._rng.uniform(1.0, 3.0))
            self._world.report.notes["joined and left in storms"] += 1

    # -- the database

    async def _backend(self, fault: Fault) -> None:
        async with self._world.postgres_lock:
            connection = await asyncpg.connect(with_database(self._world.info.database_url, DATABASE))
            try:
                # In the middle of a transaction, if one of the next looks finds one.
                for _ in range(200):
                    pids = [
                        row["pid"]
                        for row in await connection.fetch(
                            "SELECT pid FROM pg_stat_activity WHERE application_name = 'botpulse-projections' "
                            "AND datname = current_database() AND (state <> 'idle' OR $1) ORDER BY pid",
                            fault.nth > 8,
                        )
                    ]
                    if pids:
                        await connection.fetchval("SELECT pg_terminate_backend($1)", self._rng.choice(pids))
                        return
                    await asyncio.sleep(0.005)
                self._world.report.notes["no backend to terminate"] += 1
            finally:
                await connection.close()

    async def _postgres(self, fault: Fault) -> None:
        async with self._world.postgres_lock:
            with self._world.outage():
                await asyncio.to_thread(self._world.stack.stop_postgres, "immediate")
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(self._world.stack.start_postgres)

    # -- the broker

    async def _broker_pause(self, fault: Fault) -> None:
        async with self._world.broker_lock:
            pid = self._world.info.kafka_pid
            with self._world.outage():
                os.kill(pid, signal.SIGSTOP)
                try:
                    await asyncio.sleep(fault.seconds)
                finally:
                    os.kill(pid, signal.SIGCONT)

    async def _broker_kill(self, fault: Fault) -> None:
        async with self._world.broker_lock:
            with self._world.outage():
                await asyncio.to_thread(self._world.stack.kill_broker)
                await asyncio.sleep(fault.seconds)
                self._world.info = await asyncio.to_thread(self._world.stack.restart_broker)
