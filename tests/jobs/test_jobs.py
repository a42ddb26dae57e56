"""Jobs run one after the other in processes of their own, say how far they are, stop when they are asked to, and outlive the server.

The command is a small program that behaves as `kiban plan` does: lines of progress, an exit code, a folder, an answer to Ctrl-C.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from kiban.base.errors import KibanError
from kiban.jobs import Jobs, queue
from kiban.records.job import Job

PROGRAM = """
import json, pathlib, signal, sys, time
words = sys.argv[1:]
sentence = next(word for word in words if word.startswith("--issue=")).removeprefix("--issue=")
out = pathlib.Path(words[words.index("-o") + 1])
stop = []
signal.signal(signal.SIGINT, lambda *_: sys.exit(130) if stop else stop.append(1))
def say(share, text):
    print(json.dumps({"share": share, "said": text}), file=sys.stderr, flush=True)
say(0.25, "読む / reading")
if sentence == "slow":
    while not stop:
        time.sleep(0.02)
if sentence == "deaf":
    while True:
        time.sleep(0.02)
if sentence == "ask":
    print(json.dumps({"status": "no_model"})); sys.exit(4)
if sentence == "wrong":
    print(json.dumps({"ok": False, "error": "sites.csv: wrong", "status": 400})); sys.exit(2)
if sentence == "crash":
    print("Traceback: boom", file=sys.stderr); sys.exit(1)
out.mkdir(parents=True)
(out / "plan.json").write_text(json.dumps(words))
print(json.dumps({"status": "plan"}))
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Jobs]]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    made: list[Jobs] = []

    def start() -> Jobs:
        jobs = Jobs(tmp_path / "jobs", [sys.executable, str(program)], tmp_path / "regions", tmp_path / "plans", lambda name: name)
        jobs.start()
        made.append(jobs)
        return jobs

    yield start
    for jobs in made:
        jobs.close()


def wait(jobs: Jobs, id: str, *statuses: str, share: float = 0.0) -> Job:
    """The job, once it has one of the statuses and has come so far."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        job = jobs.get(id)
        assert job is not None
        if job.status in statuses and job.share >= share:
            return job
        time.sleep(0.01)
    raise AssertionError(f"{jobs.get(id)}")


def test_a_job_is_made_by_the_command_and_leaves_a_plan(make, tmp_path):
    jobs = make()
    job = wait(jobs, jobs.submit("town", "--help", {"where": "all"}, "en").id, "done")
    words = msgspec.json.decode((tmp_path / "plans" / str(job.plan) / "plan.json").read_bytes(), type=list[str])
    assert words[:3] == ["plan", str(tmp_path / "regions" / "town"), "--issue=--help"]
    assert "--answer=where=all" in words
    assert (job.share, job.error) == (1.0, None)


@pytest.mark.parametrize(
    ("sentence", "status", "error"), [("ask", "asking", None), ("wrong", "failed", "sites.csv: wrong"), ("crash", "failed", "Traceback: boom")]
)
def test_what_the_command_refuses_is_told_in_its_own_words(make, sentence, status, error):
    jobs = make()
    job = wait(jobs, jobs.submit("town", sentence, {}, "ja").id, "asking", "failed", "done")
    assert (job.status, job.error, job.plan) == (status, error, None)


def test_jobs_wait_for_each_other_and_a_waiting_one_can_be_dropped(make):
    jobs = make()
    first = jobs.submit("town", "slow", {}, "ja")
    wait(jobs, first.id, "running", share=0.25)
    second, third = jobs.submit("town", "b", {}, "ja"), jobs.submit("town", "c", {}, "ja")
    assert [jobs.ahead(job) for job in (second, third)] == [1, 2]
    jobs.cancel(second.id)
    jobs.cancel(first.id)
    assert wait(jobs, first.id, "done").stopping
    assert wait(jobs, third.id, "done")
    assert wait(jobs, second.id, "cancelled").begun is None


def test_the_same_plan_asked_for_twice_is_one_job(make):
    jobs = make()
    first = jobs.submit("town", "slow", {}, "ja")
    assert jobs.submit("town", "slow", {}, "ja").id == first.id
    assert jobs.submit("town", "slow", {"a": "b"}, "ja").id != first.id
    jobs.cancel(first.id)


def test_a_command_that_does_not_stop_is_ended(make, monkeypatch):
    monkeypatch.setattr(queue, "HURRY", 0.2)
    jobs = make()
    job = jobs.submit("town", "deaf", {}, "ja")
    wait(jobs, job.id, "running", share=0.25)
    jobs.cancel(job.id)
    assert wait(jobs, job.id, "cancelled").plan is None


def test_a_second_wish_to_stop_ends_at_once(make):
    jobs = make()
    job = jobs.submit("town", "deaf", {}, "ja")
    wait(jobs, job.id, "running", share=0.25)
    jobs.cancel(job.id)
    jobs.cancel(job.id)
    assert wait(jobs, job.id, "cancelled")


def test_what_ran_and_waited_when_the_server_went_down_is_made_after_the_next_start(make):
    jobs = make()
    running, waiting = jobs.submit("town", "slow", {}, "ja"), jobs.submit("town", "b", {}, "ja")
    wait(jobs, running.id, "running", share=0.25)
    jobs.close()
    again = make()
    assert wait(again, running.id, "running", share=0.25).tries == 2
    again.cancel(running.id)
    assert wait(again, running.id, "done")
    assert wait(again, waiting.id, "done")


def test_a_job_that_takes_the_server_down_again_and_again_is_given_up(make, tmp_path):
    folder = tmp_path / "jobs"
    folder.mkdir()
    job = Job(id="bad", region="town", sentence="x", asked=datetime(2026, 11, 27, tzinfo=UTC), status="running", tries=queue.TRIES)
    (folder / "bad.json").write_bytes(msgspec.json.encode(job))
    (folder / "torn.json").write_text("{")
    jobs = make()
    assert [(one.id, one.status) for one in jobs.all()] == [("bad", "failed")]


def test_a_queue_that_is_full_says_so(make, monkeypatch):
    monkeypatch.setattr(queue, "WAITING", 2)
    jobs = make()
    first = jobs.submit("town", "slow", {}, "ja")
    jobs.submit("town", "b", {}, "ja")
    with pytest.raises(KibanError, match="2 plans that wait"):
        jobs.submit("town", "c", {}, "ja")
    jobs.cancel(first.id)
