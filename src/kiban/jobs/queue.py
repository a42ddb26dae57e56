"""The queue of plans and papers to be made: one file per job, two lanes, in each lane one process at a time.

In: a folder for the jobs, the command, the folders of regions and plans. Out: jobs that anybody may look at while they run.

A plan is made by the command `kiban plan`, papers by `kiban papers`, so that they are the same, with the same messages, as those of somebody who types. The
papers have a lane of their own: what somebody has written never waits for a long design. The process of a plan ends with the server (it reads a pipe that
the server holds) and keeps its work in a checkpoint beside the job's file; when the server comes back, the job goes on from there.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec.structs import replace

from kiban.base.errors import KibanError
from kiban.jobs.left import Left
from kiban.loop.given import digest
from kiban.loop.issue import plan_id
from kiban.records.job import Job, Kind

TRIES = 3  # a job that the server went down with so often is not tried again
WAITING = 50  # most jobs that may wait: more than an office asks for, fewer than somebody who wants to fill the disk
KEPT = 200  # jobs that are over and still shown
HURRY = 60.0  # seconds that a plan may take to end after it was asked to stop; then it is ended
LINES = 40  # of the error stream, kept for the message
logger = logging.getLogger(__name__)


class _Head(msgspec.Struct):
    """What a job of papers takes from plan.json."""

    sentence: str
    region: str


@dataclass
class _Lane:
    """One row of jobs, and the process that makes the first of them."""

    kind: Kind
    wake: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[str] | None = None
    hurry: threading.Timer | None = None
    left: Left | None = None
    thread: threading.Thread | None = None


class Jobs:
    """Jobs in a folder, and the threads that have them made."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        regions: Path,
        plans: Path,
        region_id: Callable[[str], str],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """command: what runs kiban; region_id: the id that a region's folder gives it, which names the plan."""
        self.folder, self.command, self.regions, self.plans, self.region_id, self.now = folder, list(command), regions, plans, region_id, now
        self._lock = threading.RLock()
        self._closing = False
        self._held: IO[bytes] | None = None
        self._lanes: dict[Kind, _Lane] = {kind: _Lane(kind) for kind in ("plan", "papers")}
        self._jobs: dict[str, Job] = {}

    def claim(self) -> None:
        """Hold the folder of the jobs: a second server would take those that run here for left behind, and make them again.

        Raises
        ------
        KibanError  another server holds it, or it cannot be written
        """
        if self._held is not None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            held = (self.folder / ".server").open("wb")
        except OSError as error:
            raise KibanError(str(self.folder), f"{error.strerror}", "a folder that may be written", "set KIBAN_STATE to such a folder") from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when the server ends, however it ends
        except BlockingIOError as error:
            held.close()
            raise KibanError(
                str(self.folder), "another server of these plans", "one server", "stop the other one, or set KIBAN_STATE to a folder of its own"
            ) from error
        self._held = held

    def start(self) -> None:
        """Take up what waits, and what was running when the server went down. Raises KibanError as `claim` does."""
        self.claim()
        for path in sorted(self.folder.glob("*.json")):
            try:
                job = msgspec.json.decode(path.read_bytes(), type=Job)
            except (msgspec.MsgspecError, KibanError) as error:
                logger.warning("job %s is left out: %s", path.name, error)
                continue
            if job.status == "running":
                job = (
                    replace(job, status="waiting", share=0.0, said="")
                    if job.tries < TRIES
                    else self._over(job, "failed", error=f"the server ended {TRIES} times during this job")
                )
            self._jobs[job.id] = job
        for job in list(self._jobs.values()):
            self._keep_if_possible(job)
        for lane in self._lanes.values():
            lane.thread = threading.Thread(target=self._run, args=(lane,), name=f"jobs: {lane.kind}", daemon=True)
            lane.thread.start()

    def close(self) -> None:
        """End the running processes; their jobs go on after the next start."""
        self._closing = True
        for lane in self._lanes.values():
            lane.wake.set()
            with self._lock:
                if lane.process is not None:
                    lane.process.kill()
        for lane in self._lanes.values():
            if lane.thread is not None:
                lane.thread.join(10)
        if self._held is not None:
            self._held.close()
            self._held = None

    def all(self) -> list[Job]:
        """The jobs, newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: job.asked, reverse=True)

    def get(self, id: str) -> Job | None:
        """A job; None when there is none of this id."""
        with self._lock:
            return self._jobs.get(id)

    def ahead(self, job: Job) -> int:
        """How many jobs of its lane come before a waiting one."""
        return sum(not other.over and other.kind == job.kind and other.asked < job.asked for other in self.all())

    def left(self, job: Job) -> float | None:
        """Seconds that a running job will take still; None where nobody can say."""
        with self._lock:
            left = self._lanes[job.kind].left
            now = self._jobs.get(job.id, job)
            return None if left is None or now.status != "running" or now.stopping else left.seconds(time.monotonic())

    def submit(self, region: str, sentence: str, answers: dict[str, str], lang: str, wishes: dict[str, str] | None = None, beside: str | None = None) -> Job:
        """Have a plan made. The same plan, asked for twice, is one job.

        wishes, beside  see records.job: the same plan under other conditions, in a folder of its own

        Raises
        ------
        KibanError  too many jobs wait, or the sentence has a letter that no command can take
        """
        if "\0" in sentence:
            raise KibanError("sentence", "the letter U+0000", "letters that people write", "take it out")
        with self._lock:
            for other in self._jobs.values():
                same = (other.kind, other.region, other.sentence, other.answers, other.lang) == ("plan", region, sentence, answers, lang)
                same = same and (other.wishes, other.beside) == (wishes or {}, beside)
                if same and not other.over and not other.stopping:
                    return other
            id = secrets.token_hex(6)
            return self._enter(Job(id=id, region=region, sentence=sentence, answers=answers, wishes=wishes or {}, beside=beside, lang=lang, asked=self.now()))

    def submit_papers(self, plan: str, lang: str, words: Sequence[str] = ()) -> Job:
        """Have money, verdict and papers of a plan made again, with what people have put in; asked for twice before it begins, it is one job.

        plan   name of the plan's folder
        words  further words of `kiban papers`, such as "--fact=population=8000"; whoever calls answers for them

        Raises
        ------
        KibanError  there is no such plan, or too many jobs wait
        """
        try:
            head = msgspec.json.decode((self.plans / plan / "plan.json").read_bytes(), type=_Head)
        except (OSError, msgspec.MsgspecError) as error:
            raise KibanError(plan, "no plan that can be read", "the name of a plan folder", "look it up in the list of plans") from error
        with self._lock:
            for other in self._jobs.values():
                if other.status == "waiting" and (other.of, other.lang, other.words) == (plan, lang, tuple(words)):
                    return other
            return self._enter(
                Job(
                    id=secrets.token_hex(6), kind="papers", of=plan, words=tuple(words), region=head.region, sentence=head.sentence, lang=lang, asked=self.now()
                )
            )

    def _enter(self, job: Job) -> Job:
        """Let a job wait for its turn."""
        if sum(not other.over and other.kind == job.kind for other in self._jobs.values()) >= WAITING:
            raise KibanError("jobs", f"{WAITING} {'plans' if job.kind == 'plan' else 'papers'} that wait", "fewer", "wait until some are made, or stop some")
        try:
            self._keep(job)
        except OSError as error:
            del self._jobs[job.id]
            raise KibanError("jobs", f"{error.strerror}", "a folder with space that may be written", "free some space, then ask again") from error
        for old in sorted((one for one in self._jobs.values() if one.over), key=lambda one: one.asked)[:-KEPT]:
            del self._jobs[old.id]
            self._file(old).unlink(missing_ok=True)
        self._lanes[job.kind].wake.set()
        return job

    def cancel(self, id: str) -> None:
        """Ask a job to stop: one that waits is dropped, one that runs ends with the design found so far; asked again, it ends at once."""
        with self._lock:
            job = self._jobs.get(id)
            if job is None or job.over:
                return
            lane = self._lanes[job.kind]
            if job.status == "waiting":
                self._keep_if_possible(self._over(job, "cancelled"))
            elif job.stopping and lane.process is not None:
                lane.process.kill()
            else:
                self._keep_if_possible(replace(job, stopping=True))
                self._stop(lane)

    def _stop(self, lane: _Lane) -> None:
        """Ask the running process to stop, and end it when it does not."""
        if lane.process is not None:
            # A plan ends with the design found so far; papers are written whole or not at all, so they are simply ended: of a server that was started
            # in the background of a script, SIGINT would reach no command that does not ask for it.
            lane.process.send_signal(signal.SIGINT if lane.kind == "plan" else signal.SIGTERM)
            lane.hurry = threading.Timer(HURRY, lane.process.kill)
            lane.hurry.daemon = True
            lane.hurry.start()

    # --- the threads

    def _run(self, lane: _Lane) -> None:
        while not self._closing:
            with self._lock:
                waiting = [job for job in self._jobs.values() if job.status == "waiting" and job.kind == lane.kind]
                job = min(waiting, key=lambda one: one.asked) if waiting else None
                if job is not None:
                    job = replace(job, status="running", begun=self.now(), tries=job.tries + 1)
                    self._keep_if_possible(job)
            if job is None:
                lane.wake.wait(5.0)
                lane.wake.clear()
                continue
            try:
                self._make(lane, job)
            except (KibanError, OSError) as error:  # no process, or a town that is gone or broken: the job's matter, and the next one may fare better
                told = f"{error.filename or 'the command'}: {error.strerror}" if isinstance(error, OSError) else str(error)
                with self._lock:
                    lane.process = None
                    self._keep_if_possible(self._over(self._jobs[job.id], "failed", error=told))

    def _words(self, job: Job) -> tuple[list[str], str]:
        """The words of the command that makes a job, and the name of the plan's folder. Raises KibanError when the town is no longer there."""
        if job.of is not None:
            return [*self.command, "papers", str(self.plans / job.of), "--json", *job.words], job.of
        try:
            name = plan_id(job.sentence, self.region_id(job.region))
        except KeyError as error:
            raise KibanError(job.region, "no town of this name any more", "a town of this server", "bring it back, then ask again") from error
        if job.beside is not None:
            name = f"{name}-{digest(job.wishes)[:6]}"
        words = [*self.command, "plan", str(self.regions / job.region), f"--issue={job.sentence}", "-o", str(self.plans / name), "--json", "--progress"]
        words += ["--attached", f"--checkpoint={self._checkpoint(job)}"]
        words += [f"--{option}={value}" for option, value in sorted(job.wishes.items())]
        words += [f"--like={self.plans / job.beside}"] if job.beside is not None else []
        return [*words, *(f"--answer={question}={choice}" for question, choice in sorted(job.answers.items()))], name

    def _make(self, lane: _Lane, job: Job) -> None:
        words, name = self._words(job)
        self.plans.mkdir(parents=True, exist_ok=True)
        with subprocess.Popen(  # noqa: S603  a list of words, never a shell; the sentence is one of them
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True,
            env={**os.environ, "KIBAN_LANG": job.lang},
        ) as process:  # fmt: skip
            with self._lock:
                lane.process, lane.left = process, Left(time.monotonic())
                if self._closing:
                    process.kill()
                elif self._jobs[job.id].stopping:  # asked for while the process came up
                    self._stop(lane)
            said: list[str] = []
            assert process.stdout is not None
            assert process.stderr is not None
            printed: list[str] = []
            reader = threading.Thread(target=lambda stream=process.stdout: printed.append(stream.read()), daemon=True)
            reader.start()
            self._listen(lane, job.id, process.stderr, said)
            code = process.wait()
            reader.join(10)
        with self._lock:
            lane.process = lane.left = None
            if lane.hurry is not None:
                lane.hurry.cancel()
                lane.hurry = None
            if self._closing:
                return  # the job stays "running" in its file: it goes on after the next start
            self._keep_if_possible(self._ended(self._jobs[job.id], code, name, "".join(printed), said))

    def _listen(self, lane: _Lane, id: str, stream: IO[str], said: list[str]) -> None:
        for line in stream:
            told = _progress(line)
            if told is None:
                said.append(line.rstrip())
                del said[:-LINES]
                continue
            with self._lock:
                self._jobs[id] = replace(self._jobs[id], share=told[0], said=told[1])
                if lane.left is not None:
                    lane.left.tell(time.monotonic(), told[0])

    def _ended(self, job: Job, code: int, name: str, printed: str, said: list[str]) -> Job:
        """What a job has become, from the exit code of the command: 0, 1 and 3 leave a plan (1: refused by the check; 3: sites without service)."""
        try:
            result: dict[str, Any] = json.loads(printed)
        except ValueError:
            result = {}
        if code == 4:
            return self._over(job, "asking")
        made = code == 0 and result.get("ok") is True if job.kind == "papers" else code in (0, 1, 3) and "status" in result and "error" not in result
        if made:
            return replace(self._over(job, "done", plan=name), share=1.0)
        if job.stopping:
            return self._over(job, "cancelled")
        if code < 0 and job.tries < TRIES:  # ended from outside, as by a machine that ran out of memory: it goes on from its checkpoint
            return replace(job, status="waiting", share=0.0, said="")
        return self._over(job, "failed", error=result.get("error") or "\n".join(said) or f"the command ended with {code}")

    def _over(self, job: Job, status: Any, **more: Any) -> Job:
        return replace(job, status=status, ended=self.now(), **more)

    def _keep(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._write(job)
        if job.over:
            self._checkpoint(job).unlink(missing_ok=True)

    def _keep_if_possible(self, job: Job) -> None:
        """The same where the work goes on although the disk is full: what is shown is right, and after the next start the job is made again."""
        try:
            self._keep(job)
        except OSError as error:
            logger.warning("job %s is not kept on the disk: %s", job.id, error)

    def _file(self, job: Job) -> Path:
        return self.folder / f"{job.id}.json"

    def _checkpoint(self, job: Job) -> Path:
        return self.folder / f"{job.id}.checkpoint"

    def _write(self, job: Job) -> None:
        """Put the job's file in the place of the one before, whole and on the disk: what was asked for is not lost when the power is."""
        fresh = self._file(job).with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(job))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file(job))


def _progress(line: str) -> tuple[float, str] | None:
    """Share and sentence of a line of progress.

    >>> _progress('{"share": 0.5, "said": "x"}'), _progress("kiban: out: no folder")
    ((0.5, 'x'), None)
    """
    try:
        told = json.loads(line)
        return min(1.0, max(0.0, float(told["share"]))), str(told["said"])
    except (ValueError, TypeError, KeyError):
        return None
