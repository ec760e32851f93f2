"""Ten jobs of a small project, each against the real box."""

from pathlib import Path

import pytest

from c2d_box.errors import Refused

SCRIPT = Path(__file__).parents[1] / "algorithms" / "mean.py"


@pytest.fixture(scope="session")
def mean(algorithm):
    return algorithm(SCRIPT, name="mean")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("a\n1\n3\n", "a,2\n"),
        ("a,b\n1,10\n3,20\n", "a,2\nb,15\n"),
        ("a\n-1\n1\n", "a,0\n"),
        ("a\n1e6\n", "a,1e+06\n"),
        ("a\n0.5\n0.25\n", "a,0.375\n"),
    ],
    ids=["one", "two", "zero", "large", "fractions"],
)
def test_the_mean_of_each_column(dataset, mean, run_job, table, expected):
    job = run_job(dataset(table), mean)
    assert job.succeeded
    assert job.results["means.csv"].decode() == expected


def test_two_tables_in_one_job(dataset, mean, run_job):
    job = run_job(dataset("a\n1\n"), mean, dataset("b\n2\n"))
    assert sorted(job.results["means.csv"].decode().split()) == ["a,1", "b,2"]


def test_a_table_without_rows_fails_and_says_why(dataset, mean, run_job):
    job = run_job(dataset("a\n"), mean)
    assert job.status == 75
    assert "has no rows" in "".join(job.logs.values())


def test_words_are_no_numbers(dataset, mean, run_job):
    assert run_job(dataset("a\nmuch\n"), mean).status == 75


def test_the_log_names_what_was_computed(dataset, mean, run_job):
    assert "mean of a: 2" in "".join(run_job(dataset("a\n2\n"), mean).logs.values())


def test_nobody_computes_without_permission(dataset, mean, run_job):
    table = dataset("a\n1\n")
    with pytest.raises(Refused):
        run_job(table, mean, permit=False)
    assert run_job(table, mean).succeeded
