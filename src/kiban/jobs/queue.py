"""The queue of plans to be made: one file per job, one process at a time.

In: a folder for the jobs, the command, the folders of regions and plans. Out: jobs that anybody may look at while they run.

A plan is made by the command `kiban plan`, so that it is the same plan, with the same messages, as that of somebody who types. A server that goes down
takes the running process with it; the job waits again when the server comes back, and begins anew.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec.structs import replace

from kiban.base.errors import KibanError
from kiban.loop.issue import plan_id
from kiban.records.job import Job

TRIES = 3  # a job that the server went down with so often is not tried again
WAITING = 50  # most jobs that may wait: more than an office asks for, fewer than somebody who wants to fill the disk
KEPT = 200  # jobs that are over and still shown
HURRY = 60.0  # seconds that a plan may take to end after it was asked to stop; then it is ended
LINES = 40  # of the error stream, kept for the message
logger = logging.getLogger(__name__)


class Jobs:
    """Jobs in a folder, and the thread that has them made."""

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
        self._wake = threading.Event()
        self._closing = False
        self._process: subprocess.Popen[str] | None = None
        self._hurry: threading.Timer | None = None
        self._jobs: dict[str, Job] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take up what waits, and what was running when the server went down."""
        self.folder.mkdir(parents=True, exist_ok=True)
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
        for job in self._jobs.values():
            self._write(job)
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the running process; its job begins anew after the next start."""
        self._closing = True
        self._wake.set()
        with self._lock:
            if self._process is not None:
                self._process.kill()
        if self._thread is not None:
            self._thread.join(10)

    def all(self) -> list[Job]:
        """The jobs, newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: job.asked, reverse=True)

    def get(self, id: str) -> Job | None:
        """A job; None when there is none of this id."""
        with self._lock:
            return self._jobs.get(id)

    def ahead(self, job: Job) -> int:
        """How many jobs come before a waiting one."""
        return sum(not other.over and other.asked < job.asked for other in self.all())

    def submit(self, region: str, sentence: str, answers: dict[str, str], lang: str) -> Job:
        """Have a plan made. The same plan, asked for twice, is one job.

        Raises
        ------
        KibanError  too many jobs wait
        """
        with self._lock:
            for other in self._jobs.values():
                if not other.over and not other.stopping and (other.region, other.sentence, other.answers, other.lang) == (region, sentence, answers, lang):
                    return other
            if sum(not job.over for job in self._jobs.values()) >= WAITING:
                raise KibanError("jobs", f"{WAITING} plans that wait", "fewer", "wait until some are made, or stop some")
            job = Job(id=secrets.token_hex(6), region=region, sentence=sentence, answers=answers, lang=lang, asked=self.now())
            self._keep(job)
            for old in sorted((one for one in self._jobs.values() if one.over), key=lambda one: one.asked)[:-KEPT]:
                del self._jobs[old.id]
                (self.folder / f"{old.id}.json").unlink(missing_ok=True)
        self._wake.set()
        return job

    def cancel(self, id: str) -> None:
        """Ask a job to stop: one that waits is dropped, one that runs ends with the design found so far; asked again, it ends at once."""
        with self._lock:
            job = self._jobs.get(id)
            if job is None or job.over:
                return
            if job.status == "waiting":
                self._keep(self._over(job, "cancelled"))
            elif self._process is not None and job.stopping:
                self._process.kill()
            elif self._process is not None:
                self._keep(replace(job, stopping=True))
                self._process.send_signal(signal.SIGINT)
                self._hurry = threading.Timer(HURRY, self._process.kill)
                self._hurry.daemon = True
                self._hurry.start()

    # --- the thread

    def _run(self) -> None:
        while not self._closing:
            with self._lock:
                waiting = [job for job in self._jobs.values() if job.status == "waiting"]
                job = min(waiting, key=lambda one: one.asked) if waiting else None
                if job is not None:
                    job = replace(job, status="running", begun=self.now(), tries=job.tries + 1)
                    self._keep(job)
            if job is None:
                self._wake.wait(5.0)
                self._wake.clear()
                continue
            try:
                self._make(job)
            except OSError as error:  # no process, or no room for the job's file: the job's matter, and the next one may fare better
                with self._lock:
                    self._jobs[job.id] = self._over(self._jobs[job.id], "failed", error=f"{error.filename or 'the command'}: {error.strerror}")

    def _make(self, job: Job) -> None:
        name = plan_id(job.sentence, self.region_id(job.region))
        words = [*self.command, "plan", str(self.regions / job.region), f"--issue={job.sentence}", "-o", str(self.plans / name), "--json", "--progress"]
        words += [f"--answer={question}={choice}" for question, choice in sorted(job.answers.items())]
        self.plans.mkdir(parents=True, exist_ok=True)
        with subprocess.Popen(  # noqa: S603  a list of words, never a shell; the sentence is one of them
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True,
            env={**os.environ, "KIBAN_LANG": job.lang},
        ) as process:  # fmt: skip
            with self._lock:
                self._process = process
                if self._closing:
                    process.kill()
            said: list[str] = []
            assert process.stdout is not None
            assert process.stderr is not None
            printed: list[str] = []
            reader = threading.Thread(target=lambda stream=process.stdout: printed.append(stream.read()), daemon=True)
            reader.start()
            self._listen(job.id, process.stderr, said)
            code = process.wait()
            reader.join(10)
        with self._lock:
            self._process = None
            if self._hurry is not None:
                self._hurry.cancel()
                self._hurry = None
            if self._closing:
                return  # the job stays "running" in its file: it begins anew after the next start
            self._keep(self._ended(self._jobs[job.id], code, name, "".join(printed), said))

    def _listen(self, id: str, stream: IO[str], said: list[str]) -> None:
        for line in stream:
            told = _progress(line)
            if told is None:
                said.append(line.rstrip())
                del said[:-LINES]
                continue
            with self._lock:
                self._jobs[id] = replace(self._jobs[id], share=told[0], said=told[1])

    def _ended(self, job: Job, code: int, name: str, printed: str, said: list[str]) -> Job:
        """What a job has become, from the exit code of the command: 0, 1 and 3 leave a plan (1: refused by the check; 3: sites without service)."""
        try:
            result: dict[str, Any] = json.loads(printed)
        except ValueError:
            result = {}
        if code == 4:
            return self._over(job, "asking")
        if code in (0, 1, 3) and "status" in result and "error" not in result:
            return replace(self._over(job, "done", plan=name), share=1.0)
        if job.stopping:
            return self._over(job, "cancelled")
        return self._over(job, "failed", error=result.get("error") or "\n".join(said) or f"the command ended with {code}")

    def _over(self, job: Job, status: Any, **more: Any) -> Job:
        return replace(job, status=status, ended=self.now(), **more)

    def _keep(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._write(job)

    def _write(self, job: Job) -> None:
        path = self.folder / f"{job.id}.json"
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(job))
        fresh.replace(path)


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
