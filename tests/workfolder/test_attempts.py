"""Jobs are tried in order, and those that failed again at the end."""

from real2sam2real.workfolder.attempts import Attempts


def test_a_failed_attempt_waits_behind_the_others_and_only_so_often() -> None:
    attempts = Attempts(["first", "second"], retries=1)
    failed = attempts.take()
    assert attempts.put_back(failed)
    assert attempts.take().job == "second"
    again = attempts.take()
    assert (again.job, again.number) == ("first", 2)
    assert not attempts.put_back(again)
    assert len(attempts) == 0
