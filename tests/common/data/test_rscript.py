"""R scripts of three lines or so, run for real; they are skipped where R is missing."""

import shutil
import tempfile

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.data.rscript import load_r_versions, run_rscript

needs_r = pytest.mark.skipif(
    shutil.which("Rscript") is None, reason="Rscript is not on this machine"
)
TABLE = pd.DataFrame({"a": [1.5, np.nan, -2.0], "name": ["x", "y", None]}, index=[7, 8, 9])


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Where temporary folders are made."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def write(tmp_path):
    def write_script(text):
        path = tmp_path / "script.R"
        path.write_text(text)
        return path

    return write_script


def fail(script, tables=None):
    """Run a script that must fail; returns the one line that is told."""
    with pytest.raises(InputError) as error:
        run_rscript(script, tables or {})
    told = str(error.value)
    assert "\n" not in told
    return told


@needs_r
def test_tables_go_in_with_arguments_and_a_table_comes_out(write, folders):
    """R doubles what is there, hands gaps back, and counts three: two that it got, one it made."""
    script = write(
        'd <- read.csv("fit.csv"); k <- as.integer(commandArgs(TRUE)[1])\n'
        "d$twice <- k * d$a; d$gaps <- sum(is.na(d)); d$width <- ncol(read.csv('other.csv'))\n"
        'write.csv(d, "result.csv", row.names = FALSE)\n'
    )
    tables = {"fit": TABLE, "other": pd.DataFrame({"x": [1], "y": [2]})}
    result = run_rscript(script, tables, arguments=("2", "unused"))
    assert list(result.columns) == ["a", "name", "twice", "gaps", "width"]  # and no index
    np.testing.assert_array_equal(result["twice"], [3, np.nan, -4])
    assert result["gaps"].eq(3).all() and result["width"].eq(2).all()
    assert result["name"].isna().tolist() == [False, False, True]


@needs_r
def test_float32_comes_back_to_the_bit(write, folders):
    values = np.exp(np.random.default_rng(0).normal(0, 10, 50)).astype(np.float32)
    script = write('invisible(file.copy("fit.csv", "result.csv"))\n')
    result = run_rscript(script, {"fit": pd.DataFrame({"v": values})})
    assert result["v"].to_numpy(np.float32).tobytes() == values.tobytes()


@needs_r
def test_a_relative_script_is_found_from_another_folder(write, folders, monkeypatch):
    script = write('write.csv(data.frame(n = 1), "result.csv")\n')
    monkeypatch.chdir(script.parent)
    relative = script.relative_to(script.parent)
    assert run_rscript(relative, {})["n"].tolist() == [1]


@needs_r
@pytest.mark.parametrize(
    ("last", "fails"),
    [
        ('writeLines("n\\n1", "result.csv")', False),
        ('stop("no")', True),
        ("quit(status = 0)", True),
    ],
)
def test_the_folder_is_gone_afterwards(write, folders, tmp_path, last, fails):
    """The script tells where it ran: below the folder of temporary files, which is empty then."""
    script = write(f'writeLines(getwd(), "{tmp_path}/where")\nwriteLines("big", "junk")\n{last}\n')
    if fails:
        fail(script, {"fit": TABLE})
    else:
        run_rscript(script, {"fit": TABLE})
    where = (tmp_path / "where").read_text().strip()
    assert where.startswith(str(folders)) and where != str(folders)
    assert list(folders.iterdir()) == []


@needs_r
def test_an_error_is_told_in_one_line(write, folders):
    script = write('warning("something minor")\nmessage("working")\nstop("no such column: a")\n')
    told = fail(script)
    assert told.startswith("script.R failed in R: ") and "no such column: a" in told


@needs_r
def test_a_missing_package_is_told(write, folders):
    assert "there is no package called" in fail(write("library(nobodyhasthis)\n"))


@needs_r
def test_an_error_that_r_breaks_over_two_lines_is_told_with_its_reason(write, folders):
    """R puts the reason on a line of its own where the call is long."""
    script = write(
        "fit_a_forest_of_many_trees <- function(first_argument, second_argument) {\n"
        '  stop("the reason")\n}\n'
        'fit_a_forest_of_many_trees(first_argument = "a rather long text", second_argument = 2)\n'
    )
    assert "the reason" in fail(script)


@needs_r
def test_a_script_that_ends_without_a_word_is_told_with_its_status(write, folders):
    told = fail(write("quit(status = 3)\n"))
    assert told.startswith("script.R failed in R") and "3" in told.removeprefix("script.R")


@needs_r
def test_a_script_without_a_result_is_told(write, folders):
    assert "left no result.csv (exit status 0)" in fail(write("x <- 1\n"))


def test_a_machine_without_r_is_told_how_to_get_it(write, folders, tmp_path, monkeypatch):
    """No Rscript on the path: nothing is written, and one line says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    told = fail(write("x <- 1\n"), {"fit": TABLE})
    assert "script.R needs Rscript" in told and "install" in told
    assert list(folders.iterdir()) == []


@needs_r
def test_versions_are_as_r_tells_them(write, folders):
    """The packages that come with R have its version."""
    told = 'paste0("\\"", R.version$major, ".", R.version$minor, "\\"")'
    script = write(f'writeLines(c("version", {told}), "result.csv")\n')
    own = run_rscript(script, {})["version"][0]

    versions = load_r_versions("stats", "nobodyhasthis")

    assert versions == {"R": own, "stats": own, "nobodyhasthis": "none"}
    assert load_r_versions() == {"R": own}


def test_a_machine_without_r_has_no_versions(tmp_path, monkeypatch):
    """Nor has one on which it does not start."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert load_r_versions("stats") == {}

    broken = tmp_path / "Rscript"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    assert load_r_versions("stats") == {}
