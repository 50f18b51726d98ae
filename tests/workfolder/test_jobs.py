"""Jobs are tried in order, and those that failed again at the end."""

from real2sam2real.workfolder.jobs import Attempts, Tried, make_here


def test_a_failed_attempt_waits_behind_the_others_and_only_so_often() -> None:
    attempts = Attempts(["first", "second"], retries=1)
    failed = attempts.take()
    assert attempts.put_back(failed)
    assert attempts.take().job == "second"
    again = attempts.take()
    assert (again.job, again.number) == ("first", 2)
    assert not attempts.put_back(again)
    assert len(attempts) == 0


class Halver:
    """Halves numbers; of odd ones it says so, of large ones only the third time."""

    loaded = 0

    def load(self) -> None:
        self.loaded += 1

    def make(self, job: int, number: int) -> Tried[str]:
        if job % 2:
            return Tried(result=f"{job} is odd")
        if job > 100 and number < 3:
            return Tried(result=f"{job} is large", may_try_again=True)
        return Tried(result=str(job // 2))


def test_jobs_are_done_in_order_and_the_failed_again_at_the_end() -> None:
    maker = Halver()
    assert list(make_here(maker, [200, 3, 8], retries=2)) == ["3 is odd", "4", "100"]
    assert list(make_here(maker, [200, 3], retries=1)) == ["3 is odd", "200 is large"]
    assert maker.loaded == 2
    assert list(make_here(maker, [])) == []
    assert maker.loaded == 2
