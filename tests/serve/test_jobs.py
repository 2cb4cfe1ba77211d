"""The queue by itself, with a clock that is moved by hand: no thread, no network."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mindrestore.serve import jobs
from mindrestore.serve.limits import BusyError, Limits, UnfinishedError, UnknownJobError
from mindrestore.serve.queue import JobQueue
from served import Negative, encode, picture, upload_of, wait_until

PNG = encode(picture())


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    def make(work=None, **limits):
        folder = tmp_path / "jobs"
        folder.mkdir()
        work = work or Negative()
        return JobQueue(work, folder, Limits(**limits), abort=getattr(work, "abort", lambda: None), clock=clock)

    return make


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_jobs_are_done_in_turn_and_know_their_place(make):
    order = []
    queue = make(lambda job: order.append(job.upload.name) or {"seconds": 1})
    jobs = [queue.submit(upload_of(PNG, name), ["n"]) for name in ("a.png", "b.png", "c.png")]
    assert [queue.position(job) for job in jobs] == [1, 2, 3]
    assert queue.counts() == {"waiting": 3, "working": 0}
    assert queue.run_next()
    assert [queue.position(job) for job in jobs] == [0, 1, 2]
    assert [job.state for job in jobs] == ["done", "waiting", "waiting"]
    assert queue.run_next()
    assert queue.run_next()
    assert order == ["a.png", "b.png", "c.png"]
    assert not queue.run_next()


def test_only_so_many_wait(make):
    queue = make(max_waiting=2)
    queue.submit(upload_of(PNG), ["n"])
    queue.submit(upload_of(PNG), ["n"])
    with pytest.raises(BusyError, match="2 images are already waiting") as refused:
        queue.submit(upload_of(PNG), ["n"])
    assert refused.value.status == 503
    queue.run_next()
    assert queue.submit(upload_of(PNG), ["n"]).state == "waiting"


def test_a_queue_that_fills_during_the_copy_keeps_no_file(make, tmp_path):
    queue, late = make(max_waiting=1), upload_of(PNG)

    def slow_read(size):
        if late.stream.tell() == 0:
            queue.submit(upload_of(PNG), ["n"])
        return late.stream.read(size)

    with pytest.raises(BusyError):
        queue.submit(replace(late, stream=SimpleNamespace(read=slow_read)), ["n"])
    assert len(list((tmp_path / "jobs").iterdir())) == 1


def test_names_of_jobs_cannot_be_guessed_and_folders_are_private(make, tmp_path):
    queue = make(max_waiting=50)
    tokens = {queue.submit(upload_of(PNG), ["n"]).token for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(token) == 24 for token in tokens)  # 18 random bytes
    if os.name == "posix":
        modes = {stat.S_IMODE(folder.stat().st_mode) for folder in (tmp_path / "jobs").iterdir()}
        assert modes == {0o700}


def test_nothing_of_the_sender_is_a_path(make, tmp_path):
    queue = make()
    job = queue.submit(upload_of(PNG, "../../../evil.png"), ["../n"])
    queue.run_next()
    assert files(tmp_path) == [
        f"jobs/{job.token}/{name}" for name in ("after.png", "before.png", "result.png", "thumbnail.png")
    ]


def test_results_expire(make, clock, tmp_path):
    queue = make(keep_seconds=60)
    job = queue.submit(upload_of(PNG), ["n"])
    clock.now = 1000  # it waits as long as it takes
    assert queue.find(job.token) is job
    queue.run_next()
    clock.now = 1059
    assert queue.finished(job.token) is job
    clock.now = 1060
    with pytest.raises(UnknownJobError, match="no such job"):
        queue.find(job.token)
    assert files(tmp_path) == []


def test_results_expire_though_nobody_asks(make, clock, tmp_path):
    queue = make(keep_seconds=60)
    queue.submit(upload_of(PNG), ["n"])
    queue.run_next()
    clock.now = 61
    assert not queue.run_next()
    assert list((tmp_path / "jobs").iterdir()) == []


def test_only_so_many_results_are_kept(make, clock):
    queue, jobs = make(max_kept=2), []
    for clock.now in range(3):
        jobs.append(queue.submit(upload_of(PNG), ["n"]))
        queue.run_next()
    with pytest.raises(UnknownJobError):
        queue.find(jobs[0].token)
    assert [queue.find(job.token).state for job in jobs[1:]] == ["done", "done"]


def test_the_image_itself_goes_as_soon_as_it_is_restored(make):
    queue = make()
    job = queue.submit(upload_of(PNG), ["n"])
    assert job.source.read_bytes() == PNG
    queue.run_next()
    assert not job.source.exists()
    assert job.target.is_file()


@pytest.mark.parametrize("done", [False, True])
def test_deleting_removes_the_files(make, tmp_path, done):
    queue = make()
    job = queue.submit(upload_of(PNG), ["n"])
    if done:
        queue.run_next()
    queue.delete(job.token)
    assert list((tmp_path / "jobs").iterdir()) == []
    assert queue.counts() == {"waiting": 0, "working": 0}
    with pytest.raises(UnknownJobError):
        queue.delete(job.token)


def test_deleting_breaks_the_work_off(make, tmp_path):
    work, seen = Negative(), []

    def delete_meanwhile(job):
        queue.delete(job.token)
        seen.append((job.cancelled, work.aborted))
        return work(job)

    delete_meanwhile.abort = work.abort
    queue = make(delete_meanwhile)
    queue.submit(upload_of(PNG), ["n"])
    queue.run_next()
    assert seen == [(True, 1)]
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_failure_is_kept_as_one_line_and_the_next_job_goes_on(make, tmp_path):
    queue = make()
    bad = queue.submit(upload_of(encode(picture(1, 1)), "bad.png"), ["n"])
    good = queue.submit(upload_of(PNG), ["n"])
    queue.run_next()
    queue.run_next()
    assert (bad.state, bad.error, bad.status) == ("failed", "bad.png: too small; send a larger one", 422)
    assert good.state == "done"
    assert files(bad.folder) == ["input.png"]  # for another try
    with pytest.raises(UnfinishedError, match="the job is failed"):
        queue.finished(bad.token)


def test_a_defect_tells_the_client_nothing_of_it(make):
    queue = make()
    job = queue.submit(upload_of(encode(picture(1, 2))), ["n"])
    with pytest.raises(ZeroDivisionError):
        queue.run_next()
    assert (job.state, job.status, job.kind) == ("failed", 500, "defect")
    assert "secret" not in job.error


def test_the_thread_survives_a_defect_and_logs_it(make, caplog):
    queue = make()
    queue.submit(upload_of(encode(picture(1, 2))), ["n"])
    job = queue.submit(upload_of(PNG), ["n"])
    queue.start()
    wait_until(lambda: job.over)
    queue.close()
    assert job.state == "done"
    assert "ZeroDivisionError" in caplog.text


def test_closing_ends_the_work_and_removes_everything(make, tmp_path):
    work = Negative()
    work.gate.clear()
    queue = make(work)
    jobs = [queue.submit(upload_of(PNG), ["n"]) for _ in range(3)]
    queue.start()
    wait_until(lambda: jobs[0].phase == "restoring")
    queue.close()
    assert work.aborted == 1
    assert not (tmp_path / "jobs").exists()
    assert [job.state for job in jobs[1:]] == ["waiting", "waiting"]
    with pytest.raises(BusyError, match="the server is shutting down"):
        queue.submit(upload_of(PNG), ["n"])


def test_the_time_left_comes_from_earlier_images_until_a_share_is_told(make, monkeypatch):
    ticks = Clock()
    monkeypatch.setattr(jobs.time, "monotonic", ticks)
    seen = []

    def work(job):
        seen.append(queue.seconds_left(job))  # before the network began
        job.report("loading")
        job.report("restoring")
        ticks.now += 2
        seen.append(queue.seconds_left(job))  # 2 of 4.8 s are over, where that is known
        job.report("restoring", 0.25)
        seen.append(queue.seconds_left(job))  # the other three quarters
        ticks.now += 1
        seen.append(queue.seconds_left(job))
        job.report("writing")
        seen.append(queue.seconds_left(job))
        return {"seconds": 4.8}  # 0.1 s a pixel

    queue = make(work)
    first = queue.submit(upload_of(PNG), ["n"])
    assert queue.seconds_left(first) is None
    queue.run_next()
    assert seen == [None, None, 6, 5, 0]
    assert queue.seconds_left(first) is None  # it is done
    second, third = (queue.submit(upload_of(PNG), ["n"]) for _ in range(2))
    large = queue.submit(upload_of(encode(picture(12, 8))), ["n"])
    other = queue.submit(upload_of(PNG), ["another"])
    assert [queue.seconds_left(job) for job in (second, third, large)] == pytest.approx([4.8, 9.6, 19.2])
    assert queue.seconds_left(other) is None
    seen.clear()
    queue.run_next()
    assert seen == pytest.approx([4.8, 2.8, 6, 5, 0])


def test_a_cancelled_job_waits_again_behind_the_others(make):
    queue = make()
    one, two, three = (queue.submit(upload_of(PNG), ["n"]) for _ in range(3))
    assert queue.cancel(one.token) is one
    assert (one.state, one.source.is_file()) == ("cancelled", True)
    assert queue.retry(one.token) is one
    assert [queue.position(job) for job in (two, three, one)] == [1, 2, 3]
    with pytest.raises(UnfinishedError, match="the job is waiting; only a failed one is tried again"):
        queue.retry(one.token)


def test_another_try_waits_for_room(make):
    queue = make(max_waiting=1)
    one = queue.submit(upload_of(PNG), ["n"])
    queue.cancel(one.token)
    queue.submit(upload_of(PNG), ["n"])
    with pytest.raises(BusyError, match="1 images are already waiting"):
        queue.retry(one.token)
    assert one.state == "cancelled"
