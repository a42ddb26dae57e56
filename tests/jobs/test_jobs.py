"""Jobs run one after the other in processes of their own, say how far they are, stop when they are asked to, and outlive the server.

The command is a small program that behaves as `kiban plan` does: lines of progress, an exit code, a folder, an answer to Ctrl-C.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from kiban.base.errors import KibanError
from kiban.jobs import Jobs, queue
from kiban.jobs.left import Left
from kiban.records.job import Job

PROGRAM = """
import json, pathlib, signal, sys, time
words = sys.argv[1:]
if words[0] == "papers":
    if "--fact=slow=1" in words:
        time.sleep(60)
    if "--fact=wrong=1" in words:
        print(json.dumps({"ok": False, "error": "no such fact", "status": 400})); sys.exit(2)
    (pathlib.Path(words[1]) / "papers.json").write_text(json.dumps(words))
    print(json.dumps({"ok": True})); sys.exit(0)
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


def a_plan(tmp_path: Path, name: str = "p1") -> str:
    (tmp_path / "plans" / name).mkdir(parents=True)
    (tmp_path / "plans" / name / "plan.json").write_text('{"id": "x", "sentence": "避難所の通信", "region": "umiyama", "steps": []}', encoding="utf-8")
    return name


def test_papers_do_not_wait_for_a_long_design(make, tmp_path):
    jobs, plan = make(), a_plan(tmp_path)
    design = jobs.submit("town", "slow", {}, "ja")
    wait(jobs, design.id, "running", share=0.25)
    behind = jobs.submit("town", "b", {}, "ja")
    papers = jobs.submit_papers(plan, "ja", ["--fact=population=8000", "--fact=island="])
    assert (jobs.ahead(behind), jobs.ahead(papers)) == (1, 0)
    done = wait(jobs, papers.id, "done")
    assert (done.plan, done.sentence, done.region) == (plan, "避難所の通信", "umiyama")
    words = msgspec.json.decode((tmp_path / "plans" / plan / "papers.json").read_bytes(), type=list[str])
    assert words == ["papers", str(tmp_path / "plans" / plan), "--json", "--fact=population=8000", "--fact=island="]
    assert jobs.get(design.id).status == "running"
    jobs.cancel(design.id)


def test_papers_asked_for_twice_before_they_begin_are_made_once_and_again_when_they_have_begun(make, tmp_path):
    jobs, plan = make(), a_plan(tmp_path)
    running = jobs.submit_papers(plan, "ja", ["--fact=slow=1"])
    wait(jobs, running.id, "running")
    first, second, other = (jobs.submit_papers(plan, "ja", words) for words in (["--fact=slow=1"], ["--fact=slow=1"], []))
    assert first.id == second.id
    assert len({running.id, first.id, other.id}) == 3
    jobs.cancel(first.id)
    jobs.cancel(running.id)
    assert wait(jobs, running.id, "cancelled")
    assert wait(jobs, other.id, "done")


def test_papers_that_cannot_be_made_say_why(make, tmp_path):
    jobs, plan = make(), a_plan(tmp_path)
    assert wait(jobs, jobs.submit_papers(plan, "ja", ["--fact=wrong=1"]).id, "failed").error == "no such fact"
    with pytest.raises(KibanError, match="no plan that can be read"):
        jobs.submit_papers("nowhere", "ja")


def test_a_job_of_a_plan_has_its_checkpoint_beside_it_and_leaves_none(make, tmp_path):
    jobs = make()
    job = jobs.submit("town", "slow", {}, "ja")
    wait(jobs, job.id, "running", share=0.25)
    kept = tmp_path / "jobs" / f"{job.id}.checkpoint"
    kept.write_bytes(b"as far as it has come")
    jobs.cancel(job.id)
    words = msgspec.json.decode((tmp_path / "plans" / str(wait(jobs, job.id, "done").plan) / "plan.json").read_bytes(), type=list[str])
    assert f"--checkpoint={kept}" in words
    assert "--attached" in words
    assert not kept.exists()


def test_nobody_is_told_how_long_it_takes_before_it_can_be_known(make):
    jobs = make()
    job = jobs.submit("town", "slow", {}, "ja")
    assert jobs.left(wait(jobs, job.id, "running", share=0.25)) is None
    jobs.cancel(job.id)


@pytest.mark.parametrize("minutes", [1, 10, 60])
def test_the_time_left_of_a_steady_job_is_what_it_takes(minutes: int):
    left, whole = Left(0.0), 60.0 * minutes
    for second in range(60 * minutes):
        left.tell(float(second), second / whole)
        told = left.seconds(float(second))
        assert second >= 5 or told is None
        if second > whole / 2:
            assert told == pytest.approx(whole - second, rel=0.05, abs=1)


def test_what_a_checkpoint_gave_is_not_taken_for_speed():
    left = Left(0.0)
    for share in (0.1, 0.3, 0.6):  # in the first second, out of the checkpoint
        left.tell(share, share)
    for second in range(6, 46):
        left.tell(float(second), 0.6 + (second - 6) / 200)
    assert left.seconds(45.0) == pytest.approx(41, abs=2)
    assert left.seconds(45.0 + 21) is None  # nothing has moved


def test_a_queue_that_is_full_says_so(make, monkeypatch):
    monkeypatch.setattr(queue, "WAITING", 2)
    jobs = make()
    first = jobs.submit("town", "slow", {}, "ja")
    jobs.submit("town", "b", {}, "ja")
    with pytest.raises(KibanError, match="2 plans that wait"):
        jobs.submit("town", "c", {}, "ja")
    jobs.cancel(first.id)


def test_a_town_that_was_taken_away_or_broken_fails_its_job_and_the_next_one_is_made(make):
    jobs = make()

    def id_of(name: str) -> str:
        if name == "gone":
            raise KeyError(name)
        if name == "broken":
            raise KibanError("region.yaml", "no name", "a name", "write one")
        return name

    jobs.region_id = id_of
    gone, broken, whole = (jobs.submit(name, "a", {}, "ja") for name in ("gone", "broken", "town"))
    assert "no town of this name any more" in (wait(jobs, gone.id, "failed").error or "")
    assert "region.yaml: found no name" in (wait(jobs, broken.id, "failed").error or "")
    assert wait(jobs, whole.id, "done")


def test_a_full_disk_refuses_a_new_job_and_lets_one_that_runs_be_stopped(make, monkeypatch):
    jobs = make()
    running = jobs.submit("town", "slow", {}, "ja")
    wait(jobs, running.id, "running", share=0.25)

    def full(_: Job) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(jobs, "_write", full)
    with pytest.raises(KibanError, match="No space left on device"):
        jobs.submit("town", "b", {}, "ja")
    jobs.cancel(running.id)
    assert wait(jobs, running.id, "done")
    monkeypatch.undo()
    assert wait(jobs, jobs.submit("town", "b", {}, "ja").id, "done")


def test_papers_find_room_where_plans_have_filled_the_queue(make, tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "WAITING", 1)
    jobs, plan = make(), a_plan(tmp_path)
    design = jobs.submit("town", "slow", {}, "ja")
    assert wait(jobs, jobs.submit_papers(plan, "ja").id, "done")
    jobs.cancel(design.id)


def test_a_second_server_of_the_same_folder_is_refused_until_the_first_one_ends(make):
    first = make()
    running = first.submit("town", "slow", {}, "ja")
    wait(first, running.id, "running", share=0.25)
    with pytest.raises(KibanError, match="another server of these plans"):
        make()
    assert first.get(running.id).tries == 1
    first.close()
    second = make()
    wait(second, running.id, "running", share=0.25)
    second.cancel(running.id)


def test_a_sentence_that_no_command_can_take_is_refused(make):
    with pytest.raises(KibanError, match="U\\+0000"):
        make().submit("town", "a\0b", {}, "ja")
