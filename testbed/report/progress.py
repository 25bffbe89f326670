"""Says which phase a run is in: a live line on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from testbed.report.escape import printable
from testbed.report.record import Timing


class Phase:
    """What is being done just now, with a note that may change from any thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._note = ""
        self._began = time.monotonic()
        self._spinner = Spinner("dots")

    def note(self, note: str) -> None:
        """Replace the few words that stand behind the phase's name."""
        self._note = printable(note)

    @property
    def seconds(self) -> float:
        """Since the phase began."""
        return time.monotonic() - self._began

    def line(self, sign: str, style: str) -> Text:
        """The phase in one line: sign, name, seconds, note."""
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f" {sign} ", style).append(f"{self.name:<32}")
        return line.append(f"{self.seconds:6.1f} s").append(f"  {self._note}", "dim")

    def __rich__(self) -> RenderableType:
        self._spinner.update(text=self.line("", "")[1:])
        return self._spinner


class Progress:
    """The phases of a run, one after the other, and how long each took."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live = Live(console=self._console, transient=True, refresh_per_second=8)
        self._timings: list[Timing] = []

    @property
    def timings(self) -> tuple[Timing, ...]:
        """The phases that have ended, in order."""
        return tuple(self._timings)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live.is_started:
            self._live.update("", refresh=True)
            self._live.stop()

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """One phase: timed, shown while it lasts, and marked as failed when it raises."""
        phase = Phase(name)
        if self._live.is_started:
            self._live.update(phase)
        else:
            self._console.print(Text(f"   {name} ..."))
        sign, style = "✗", "bold red"
        try:
            yield phase
            sign, style = "✓", "green"
        finally:
            self._timings.append(Timing(name, round(phase.seconds, 3)))
            if self._live.is_started:
                self._live.update("")
            self._console.print(phase.line(sign, style))
