import pytest

from common.data import code
from common.data.code import list_code, load_code_digest

CHECKS = '''"""Checks."""

least = 1
"""The least."""


class Check:
    """A check."""

    def run(self, value):
        """Run it."""
        # Too small is wrong.
        return "small" if value < least else "fine"
'''


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A made-up library and competition: the competition uses nets, which uses checks."""
    files = {
        "common/__init__.py": "",
        "common/checks.py": CHECKS,
        "common/alone.py": "",
        "common/nets/__init__.py": "",
        "common/nets/dense.py": "def build():\n    from common.checks import least\n",
        "common/features.py": "import common.nets.dense as dense\n",
        "competitions/__init__.py": "",
        "competitions/bikes/__init__.py": "",
        "competitions/bikes/pipeline.py": "from common.nets import dense\nimport numpy\n",
        "competitions/bikes/baseline.R": "library(ranger)\n",
        "competitions/bikes/README.md": "# Bikes\n",
        "competitions/shops/__init__.py": "",
        "competitions/shops/pipeline.py": "from competitions.bikes import pipeline\n",
        "competitions/waits/pipeline.py": "from common import features\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(code, "ROOT", tmp_path)
    return tmp_path


BIKES = {
    "common/__init__.py",
    "common/checks.py",
    "common/nets/__init__.py",
    "common/nets/dense.py",
    "competitions/__init__.py",
    "competitions/bikes/__init__.py",
    "competitions/bikes/baseline.R",
    "competitions/bikes/pipeline.py",
}


def test_what_is_imported_counts_also_through_others_and_in_functions(root):
    files = list_code(root / "competitions" / "bikes")

    # The competition's own package is not imported by anyone here.
    assert set(files) == BIKES - {"competitions/__init__.py"}
    assert all(path.read_text() == (root / name).read_text() for name, path in files.items())


def test_another_competition_counts_where_it_is_imported(root):
    files = list_code(root / "competitions" / "shops")

    own = {"competitions/shops/__init__.py", "competitions/shops/pipeline.py"}
    assert set(files) == BIKES - {"competitions/bikes/baseline.R"} | own


def test_a_plain_import_counts_with_its_packages(root):
    assert {"common/features.py", "common/nets/__init__.py", "common/nets/dense.py"} <= set(
        list_code(root / "competitions" / "waits")
    )


@pytest.mark.parametrize(
    "name", ["common/checks.py", "common/nets/__init__.py", "competitions/bikes/baseline.R"]
)
def test_the_digest_follows_what_counts(root, name):
    before = load_code_digest(root / "competitions" / "bikes")

    (root / name).write_text("another = 1\n")

    assert load_code_digest(root / "competitions" / "bikes") != before


def digest_with(root, old, new, *, name="common/checks.py"):
    path = root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        return load_code_digest(root / "competitions" / "bikes")
    finally:
        path.write_text(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Too small is wrong.", "# What is too small is wrong."),
        ("        # Too small is wrong.\n", ""),
        ('"""Run it."""', '"""Run it on a value."""'),
        ('        """Run it."""\n', ""),
        ('"""A check."""', '"""A check of one value."""'),
        ('"""Checks."""', ""),
        ('"""The least."""', '"""The least that passes."""'),
        ("\n\n\nclass", "\n\nclass"),
        ('return "small"', "return 'small'"),
    ],
)
def test_wording_and_layout_do_not_change_the_digest(root, old, new):
    assert digest_with(root, old, new) == load_code_digest(root / "competitions" / "bikes")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("least = 1", "least = 2"),
        ("least = 1", "least = 1.0"),
        ('"small"', '"little"'),
        ("value < least", "value <= least"),
        ("run(self, value)", "run(self, value=0)"),
        ("class Check", "class Checks"),
        ("        return", "        pass\n        return"),
        ('    """A check."""', '    doc = """A check."""'),
    ],
)
def test_what_the_code_does_changes_the_digest(root, old, new):
    assert digest_with(root, old, new) != load_code_digest(root / "competitions" / "bikes")


def test_of_other_files_every_byte_counts(root):
    name, before = "competitions/bikes/baseline.R", load_code_digest(root / "competitions/bikes")

    assert digest_with(root, "library(ranger)", "library(ranger) # ", name=name) != before
    assert digest_with(root, "\n", "\r\n", name=name) != before


@pytest.mark.parametrize("name", ["common/alone.py", "common/new.py", "competitions/bikes/NEWS.md"])
def test_the_digest_ignores_the_rest(root, name):
    before = load_code_digest(root / "competitions" / "bikes")

    (root / name).write_text("another = 1\n")

    assert load_code_digest(root / "competitions" / "bikes") == before


def test_the_digest_does_not_hang_on_where_the_packages_lie(root, tmp_path_factory, monkeypatch):
    before = load_code_digest(root / "competitions" / "bikes")
    moved = tmp_path_factory.mktemp("moved") / "there"
    root.rename(moved)
    monkeypatch.setattr(code, "ROOT", moved)

    assert load_code_digest(moved / "competitions" / "bikes") == before


def test_a_folder_elsewhere_is_named_by_itself(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere") / "bikes"
    folder.mkdir()
    (folder / "pipeline.py").write_text("import common.checks\n")

    assert set(list_code(folder)) == {"bikes/pipeline.py", "common/__init__.py", "common/checks.py"}


def test_the_real_competitions_have_the_modules_that_fit_their_models():
    files = set(list_code(code.ROOT / "competitions" / "rossmann_store_sales"))

    assert {"common/training/fit.py", "common/training/boosting.py", "common/nets/tabm.py"} <= files
    assert "competitions/bike_sharing_demand/pipeline.py" not in files
