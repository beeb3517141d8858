import cv2
import numpy as np
import pytest

from common.checks import InputError
from common.contract import Pictures, Table
from common.data.files import check_files, group_digests
from common.data.images import write_picture
from common.data.sources import join_digests, load_digests


@pytest.fixture
def write(tmp_path):
    def write(data, name="days.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    return write


PLAIN = "day,count\n2011-01-01,16\n2011-01-02,40\n"


FILES = (
    Table("days.csv", columns=("day", "count")),
    Table("weather/*.csv", columns=("temp",), optional="shared on the forum"),
)


def test_files_that_are_all_there_leave_no_notes(tmp_path, write):
    write(PLAIN)
    write("wind,temp\n1,2\n", "weather/2011.csv")

    assert check_files(tmp_path, FILES) == []


def test_a_missing_optional_file_leaves_one_note(tmp_path, write):
    write(PLAIN)

    (note,) = check_files(tmp_path, FILES)
    assert note == "weather/*.csv is not there (shared on the forum); going on without it"


def test_a_missing_needed_file_is_an_error(tmp_path, write):
    write("temp\n1\n", "weather/2011.csv")

    with pytest.raises(InputError, match=r"days\.csv is missing$"):
        check_files(tmp_path, FILES)


def test_every_file_of_a_glob_is_checked_and_the_optional_ones_too(tmp_path, write):
    write(PLAIN)
    write("temp\n1\n", "weather/2011.csv")
    write("wind\n1\n", "weather/2012.csv")

    with pytest.raises(InputError, match=r"weather/2012\.csv must have a column temp"):
        check_files(tmp_path, FILES)


def test_a_needed_file_with_a_header_only_is_an_error(tmp_path, write):
    write("day,count\n")

    with pytest.raises(InputError, match=r"days\.csv has a header and no rows"):
        check_files(tmp_path, FILES)


def test_a_file_is_checked_by_its_own_separator(tmp_path, write):
    write("wind;max temp\n1;2\n", "weather/BE.csv")
    weather = Table("weather/*.csv", columns=("max temp",), separator=";")

    assert check_files(tmp_path, [weather]) == []
    with pytest.raises(
        InputError, match=r"BE\.csv must have a column rain, received wind, max temp"
    ):
        check_files(tmp_path, [Table("weather/*.csv", columns=("rain",), separator=";")])


PICTURES = (
    Pictures("train/*/*.png"),
    Pictures("more/*.jpg", optional="shared on the forum"),
)
NAMES = ("train/Fenchel, süß/1 a.png", "train/Gras/1.png", "train/Gras/2.png")


@pytest.fixture
def pictures(tmp_path):
    for k, name in enumerate(NAMES):
        write_picture(tmp_path / name, np.full((4, 4, 3), k, np.uint8))
    return tmp_path


def test_pictures_in_folders_with_spaces_and_umlauts(pictures):
    (note,) = check_files(pictures, PICTURES)

    assert note == "more/*.jpg is not there (shared on the forum); going on without it"
    # What a picture is, its bytes tell: a PNG that is called .jpg is one.
    write_picture(pictures / "more" / "1.png", np.zeros((1, 1, 3), np.uint8))
    (pictures / "more" / "1.png").rename(pictures / "more" / "1.jpg")
    assert check_files(pictures, PICTURES) == []


def test_pictures_that_are_not_there_are_an_error(tmp_path, write):
    write("no folder of a class", "train/1.png")

    with pytest.raises(InputError, match=r"train/\*/\*\.png is missing$"):
        check_files(tmp_path, PICTURES)


def test_what_is_called_a_picture_and_is_none_is_named(pictures, write):
    write("hello", "train/Gras/3.png")
    told = r"train/Gras/3\.png must be a JPEG or PNG picture, .* begins with b'hello'$"
    with pytest.raises(InputError, match=told):
        check_files(pictures, PICTURES)

    (pictures / "train/Gras/3.png").unlink()
    (pictures / "train/Gras/3.png").mkdir()
    with pytest.raises(InputError, match=r"Gras/3\.png must be a picture, received a folder$"):
        check_files(pictures, PICTURES)


def test_only_the_beginning_of_a_picture_is_read(pictures):
    """What is cut off further down is for `load_pictures` to find."""
    path = pictures / NAMES[0]
    path.write_bytes(path.read_bytes()[:20])

    assert cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) is None
    assert len(check_files(pictures, PICTURES)) == 1


def test_digests_of_pictures_become_one(pictures, write):
    write(PLAIN)
    write(PLAIN, "train/notes.csv")
    digests = load_digests(pictures)
    files = (*PICTURES, Table("days.csv", columns=("day",)))

    grouped = group_digests(digests, pictures, files)

    theirs = {name: digests[name] for name in NAMES}
    assert grouped == {name: digests[name] for name in ("days.csv", "train/notes.csv")} | {
        "train/*/*.png (3 pictures)": join_digests(theirs)
    }
    assert group_digests(digests, pictures, files[1:]) == digests
    write_picture(pictures / NAMES[1], np.full((4, 4, 3), 9, np.uint8))
    again = group_digests(load_digests(pictures), pictures, files)
    assert {name for name in again if again[name] != grouped[name]} == {
        "train/*/*.png (3 pictures)"
    }
