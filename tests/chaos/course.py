"""The days of a world with deaths: at chosen fail points, and at any moment."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import dataclass, field

from tests.chaos.world import STEPS, Step, World


@dataclass(frozen=True)
class Extent:
    """At least so many kills; ``seed`` decides at which fail points and after how long."""

    kills: int
    seed: int

    @classmethod
    def of_environment(cls, short: int) -> Extent:
        """The short form, or what GUIJI_CHAOS_RUN_KILLS and GUIJI_CHAOS_SEED say."""
        seed = os.environ.get("GUIJI_CHAOS_SEED")
        return cls(
            int(os.environ.get("GUIJI_CHAOS_RUN_KILLS", str(short))),
            int(seed) if seed else random.randrange(10**6),
        )


@dataclass
class Told:
    """Every fail point that a walk through the steps has passed, and those at which it died."""

    passed: list[str] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    moments: int = 0

    @property
    def kills(self) -> int:
        return len(self.died) + self.moments

    def hear(self, world: World) -> None:
        for point in world.points():
            if point.startswith("died "):
                self.died.append(point.removeprefix("died "))
            self.passed.append(point.removeprefix("died "))


def walk(world: World, points: frozenset[str] = frozenset(), moments: random.Random | None = None) -> Told:
    """All steps to their ends; a process dies once at each fail point of ``points`` that is met on the way.

    With ``moments`` each step also dies once at a random moment.
    """
    told = Told()
    for step in STEPS:
        if step.before is not None:
            step.before(world)
        if moments is not None:
            told.moments += _cut_short(world, step, moments.uniform(0.05, 2.0))
            told.hear(world)
        # Each death is one at another point, so there are as many starts as points, and the one that ends.
        for _ in range(len(points) + 1):
            process = world.start(step, points - frozenset(told.died))
            process.join()
            told.hear(world)
            if process.exitcode != -signal.SIGKILL:
                break
        assert process.exitcode in {step.ends, step.done_already if told.kills else step.ends}, (
            f"{step.command} ended with {process.exitcode}:\n{world.printed()}"
        )
    return told


def _cut_short(world: World, step: Step, seconds: float) -> bool:
    """Whether the step was still at work after so long, and was killed."""
    process = world.start(step)
    process.join(timeout=seconds)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL
