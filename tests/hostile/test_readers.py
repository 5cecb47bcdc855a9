"""Tables and layouts of data sets that nobody checked: read as they are, or refused by name."""

import json
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from segxai.datasets.reading import generate, read_records
from segxai.datasets.record import label_columns
from segxai.datasets.samples import select_records
from segxai.workflow.plugins import entry_schema
from tests.hostile.refusal import refused, write_lesions
from tests.unit.dicoms import write_dicom

GREY = np.arange(96, dtype=np.uint8).reshape(8, 12)
UID = "1.3.6.1.4.1.9590.100.1.2.{}"


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(GREY).save(path)
    return path


def kvasir(folder: Path) -> None:
    for part in ("images", "masks"):
        for name in "abc":
            picture(folder / "Kvasir-SEG" / part / f"{name}.jpg")


def nuinsseg(folder: Path) -> None:
    for tissue in ("human brain", "mouse liver"):
        place = folder / tissue
        picture(place / "tissue images" / f"{tissue[:2]}_1.png")
        picture(place / "label masks modify" / f"{tissue[:2]}_1.tif")


SKIN = "lesion_id,image_id,dx\nH1,I1,nv\nH1,I2,nv\nH2,I3,mel\n"


def ham10000(folder: Path) -> None:
    for name in ("I1", "I2", "I3"):
        picture(folder / "images" / f"{name}.jpg")
        picture(folder / "masks" / f"{name}_segmentation.png")
    (folder / "HAM10000_metadata.csv").write_text(SKIN)


CHEST = [
    {"file_name": "1.png", "syms": ["Mass"], "boxes": [[1, 1, 5, 5]]},
    {"file_name": "2.png", "syms": [], "boxes": []},
]


def chestx(folder: Path) -> None:
    for part, numbers in (("train", (1, 2)), ("test", (3,))):
        for number in numbers:
            picture(folder / f"{part}_data" / f"{number}.png")
    (folder / "train.json").write_text(json.dumps(CHEST))
    (folder / "test.json").write_text(json.dumps([{"file_name": "3.png", "syms": [], "boxes": []}]))


MAMMO = "patient_id,pathology,image file path,cropped image file path,ROI mask file path\n"


def case(patient: str, number: int, pathology: str = "BENIGN") -> str:
    image, mask = UID.format(2 * number), UID.format(2 * number + 1)
    name = f"Mass-Training_{patient}_LEFT_CC"
    study = UID.format(99)
    roi = f"{name}_1/{study}/{mask}/000000.dcm"
    return f"{patient},{pathology},{name}/{study}/{image}/000000.dcm,{roi},{roi}\n"


CASES = MAMMO + case("P_1", 1) + case("P_2", 2)


def cbis(folder: Path) -> None:
    (folder / "mass_case_description_train_set.csv").write_text(CASES)
    test = (MAMMO + case("P_3", 3)).replace("Training", "Test")
    (folder / "mass_case_description_test_set.csv").write_text(test)
    for number in range(2, 8):
        write_dicom(folder / UID.format(number) / "1.dcm", GREY)


FINDINGS = "image_id,nodule,cyst,opacity,fibrosis,marker\na,1,0,0,0,0\nb,0,0,0,0,1\n"


def findings(folder: Path) -> None:
    for name in "ab":
        picture(folder / "images" / f"{name}.png")
    picture(folder / "masks" / "nodule" / "a.png")
    (folder / "labels.csv").write_text(FINDINGS)


SETS = {
    "kvasir_seg": (kvasir, 3),
    "nuinsseg": (nuinsseg, 2),
    "ham10000": (ham10000, 3),
    "chestx_det10": (chestx, 3),
    "cbis_ddsm": (cbis, 3),
    "phantom_findings": (findings, 2),
    "phantom_lesions": (write_lesions, 6),
}


def write_set(reader: str, folder: Path) -> Path:
    """Write the data set of a reader and give its folder."""
    # Its writer makes the folder.
    if reader != "phantom_lesions":
        folder.mkdir()
    SETS[reader][0](folder)
    return folder


@pytest.fixture
def data(tmp_path):
    """Return a function that writes the data set of a reader, once, and gives its folder."""
    return lambda reader: write_set(reader, tmp_path / "my set")


@pytest.mark.parametrize("reader", SETS)
def test_the_sets_of_this_file_can_be_read(data, reader):
    """What the cases below spoil is sound before."""
    assert len(read_records(reader, data(reader))) == SETS[reader][1]


TABLES = {
    "ham10000": ("HAM10000_metadata.csv", SKIN, "lesion_id", "I2"),
    "phantom_findings": ("labels.csv", FINDINGS, "cyst", "b"),
    "phantom_lesions": ("labels.csv", None, "label", "1"),
    "cbis_ddsm": ("mass_case_description_train_set.csv", CASES, "pathology", None),
}
SPOILT = {
    "empty": (lambda text, *_: b"", "has no column .* nothing", "by the original"),
    "header alone": (lambda text, *_: text.splitlines()[0].encode(), "line 2", "intact copy"),
    "binary": (lambda text, *_: bytes(range(256)) * 9, "UTF-8", "intact copy"),
    "compressed": (lambda text, *_: b"\x1f\x8b\x08" + bytes(99), "UTF-8", "intact copy"),
    "utf-16 without its mark": (
        lambda text, *_: text.encode("utf-16-le"),
        "UTF-8",
        "save it as UTF-8",
    ),
    "latin-1": (
        lambda text, *_: text.replace("\n", ",ä\n", 2).encode("latin-1"),
        "UTF-8",
        "save it as UTF-8",
    ),
    "column missing": (
        lambda text, column, _: text.replace(column, "other", 1).encode(),
        "has no column",
        "by the original",
    ),
    "column twice": (
        lambda text, column, _: "\n".join(
            f"{line},{column if k == 0 else 'x'}" for k, line in enumerate(text.splitlines())
        ).encode(),
        "has two columns",
        "rename one",
    ),
    "cell too many in a line": (
        lambda text, *_: (text + "a,b,c,d,e,f,g\n").encode(),
        "line .* more cells than its header",
        "intact copy",
    ),
    "cell too many in each line": (
        lambda text, *_: "\n".join(
            [*text.splitlines()[:1], *(f"{line},x" for line in text.splitlines()[1:])]
        ).encode(),
        "more cells than its header",
        "intact copy",
    ),
    "cell missing": (lambda text, *_: (text + "I9\n").encode(), "is incomplete", "intact copy"),
    "line cut": (
        lambda text, *_: text.encode()[:-7],
        "incomplete|correct|no label|does not name",
        ".",
    ),
    "open quote": (
        lambda text, *_: text.replace("\n", '\n"', 1).encode(),
        "CSV",
        "intact copy",
    ),
    "line twice": (
        lambda text, *_: (text + text.splitlines()[1] + "\n").encode(),
        r"lines 2 and \d+ are both of",
        "keep one of them",
    ),
    "line twice but for case and blanks": (
        lambda text, *_: (text + text.splitlines()[1].replace(",", " ,").upper() + "\n").encode(),
        r"lines 2 and \d+ are both of",
        "keep one of them",
    ),
    "cell of blanks": (
        lambda text, column, _: "\n".join(
            [
                *(lines := text.splitlines())[:1],
                ",".join(
                    "  " if name == column else cell
                    for name, cell in zip(lines[0].split(","), lines[1].split(","), strict=True)
                ),
            ]
        ).encode(),
        "line 2 is incomplete, its '.*' is empty",
        "fill it in",
    ),
    "quote closed in another line": (
        lambda text, *_: "\n".join(
            [
                (lines := text.splitlines())[0],
                lines[1].replace(",", ',"', 1),
                ",".join(cell + '"' * (k == 1) for k, cell in enumerate(lines[2].split(","))),
                *lines[3:],
            ]
        ).encode(),
        "line 2 is incomplete, its '.*' holds a line break",
        "intact copy",
    ),
}


# In CBIS-DDSM an image of two lesions has two lines.
TWICE = ["line twice", "line twice but for case and blanks"]
READERS_AND_WAYS = sorted({*product(TABLES, SPOILT)} - {*product(["cbis_ddsm"], TWICE)})


@pytest.mark.parametrize(("reader", "how"), READERS_AND_WAYS)
def test_spoilt_table_is_refused_by_its_name(data, tmp_path, reader, how):
    """A spoilt table is named, with its line or column and the remedy."""
    folder = data(reader)
    name, _, column, _ = TABLES[reader]
    table = folder / name
    spoil, problem, remedy = SPOILT[how]
    table.write_bytes(spoil(table.read_text(), column, None))
    refused(partial(read_records, reader, folder), problem, remedy, tmp_path)


@pytest.mark.parametrize("reader", TABLES)
def test_missing_table_is_named(data, reader):
    """Without its table a data set is refused by the path where it should be."""
    folder = data(reader)
    (folder / TABLES[reader][0]).unlink()
    refused(partial(read_records, reader, folder), TABLES[reader][0], "restore|download")


KEPT = {
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "line ends of the Macintosh": lambda text: text.replace("\n", "\r").encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "blanks": lambda text: text.replace(",", " , ").replace("\n", "\u00a0\n").encode(),
    "names of columns in capitals": lambda text: text.replace(
        head := text.splitlines()[0], head.upper(), 1
    ).encode(),
    "lines of separators": lambda text: (text + ",,\n" + ",,,,,,,,\n \n").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "empty lines": lambda text: text.replace("\n", "\n\n").encode(),
    "one more column": lambda text: text.replace("\n", ",1\n").encode(),
    "quotes": lambda text: (
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines())
    ).encode(),
}


@pytest.mark.parametrize("reader", TABLES)
@pytest.mark.parametrize("how", KEPT)
def test_unusual_table_is_the_same_table(data, reader, how):
    """Changes by spreadsheets do not change the content of a table."""
    folder = data(reader)
    table = folder / TABLES[reader][0]
    before = read_records(reader, folder)
    table.write_bytes(KEPT[how](table.read_text()))
    assert read_records(reader, folder) == before


def chest(**changes) -> list:
    return [CHEST[0] | changes, CHEST[1]]


FILES = {
    "ham10000": {
        "unknown diagnosis": (
            {"HAM10000_metadata.csv": SKIN.replace("mel", "melanoma")},
            "I3 has the diagnosis 'melanoma'",
            "correct its row",
        ),
        "image without row": (
            {"HAM10000_metadata.csv": SKIN.replace("H2,I3,mel\n", "")},
            "has no row for I3.jpg",
            "move the image",
        ),
        "name leads out": (
            {"HAM10000_metadata.csv": SKIN + "H9,../../evil,nv\n"},
            "leads out of",
            "rename it",
        ),
        "name is a path": (
            {"HAM10000_metadata.csv": SKIN + "H9,/etc/evil,nv\n"},
            "/etc/evil.jpg: .*leads out of",
            "rename it",
        ),
        "name with a null": (
            {"HAM10000_metadata.csv": SKIN + 'H9,"I\x009",nv\n'},
            "UTF-8",
            "intact copy",
        ),
        "name with a bell": (
            {"HAM10000_metadata.csv": SKIN + 'H9,"I\x079",nv\n'},
            "codes that are not text",
            "rename it",
        ),
        "image twice": ({"ham10000_images/I1.jpg": ""}, "has the name", "move one of the two out"),
        "image twice but for case": (
            {"HAM10000_images_part_1/i1.JPG": ""},
            "has the name",
            "move one of the two out",
        ),
    },
    "phantom_findings": {
        "more than 0 and 1": (
            {"labels.csv": FINDINGS.replace("a,1", "a,2")},
            "labels.csv: line 2 holds more than 0 and 1",
            "correct it",
        ),
        "name leads out": (
            {"labels.csv": FINDINGS.replace("b,", "../../b,")},
            "leads out of",
            "rename it",
        ),
    },
    "phantom_lesions": {
        "image without label": (
            {"labels.csv": "image_id,label\n0,lesion\n"},
            "has no label for 1.png",
            "add its row",
        ),
        "same name, two suffixes": (
            {"images/1.jpg": ""},
            "1.png: has the name of 1.jpg beside it",
            "rename one of the two",
        ),
    },
    "chestx_det10": {
        "no json": ({"train.json": "images"}, "train.json: .*JSON", "intact copy"),
        "empty": ({"train.json": ""}, "train.json: .*JSON", "intact copy"),
        "cut": ({"train.json": json.dumps(CHEST)[:40]}, "JSON", "intact copy"),
        "empty below a byte order mark": ({"train.json": "\ufeff[]"}, "is empty", "original"),
        "too deep": ({"train.json": "[" * 99_999}, "JSON", "intact copy"),
        "too long a number": ({"train.json": "9" * 9999}, "JSON", "intact copy"),
        "no list": ({"train.json": "5"}, "is not a list of images", "by the original"),
        "a mapping": ({"train.json": '{"a": 1}'}, "is not a list of images", "by the original"),
        "nothing in it": ({"train.json": "[]"}, "it is empty", "by the original"),
        "null": ({"train.json": "[null]"}, "is not a list of images", "by the original"),
        "number for a name": ({"train.json": chest(file_name=7)}, "the name 7", "original"),
        "list for a name": ({"train.json": chest(file_name=[])}, "is not a list", "original"),
        "listed twice": ({"train.json": [CHEST[0]] * 2}, "lists 1.png 2 times", "keep one"),
        "in both parts": (
            {"test.json": json.dumps(CHEST)},
            "lists 1 2 times",
            "keep one of its entries",
        ),
        "unknown class": ({"train.json": chest(syms=["Tumor"])}, "the class 'Tumor'", "correct it"),
        "more classes than boxes": ({"train.json": chest(boxes=[])}, "is not a list", "original"),
        "no boxes": ({"train.json": [{"file_name": "1.png"}]}, "is not a list", "original"),
        "box inside out": ({"train.json": chest(boxes=[[5, 1, 1, 5]])}, "inside out", "correct it"),
        "box of text": ({"train.json": chest(boxes=[list("abcd")])}, "is not a list", "original"),
        "box of three": ({"train.json": chest(boxes=[[1, 2, 3]])}, "is not a list", "original"),
        "box without end": (
            {"train.json": chest(boxes=[[0, 0, 10**400, 5]])},
            "is not a list",
            "original",
        ),
        "polygon of two": (
            {"train.json": chest(boxes=[[[1, 1], [2, 2]]])},
            "a polygon of 2 corners",
            "original",
        ),
        "name leads out": (
            {"train.json": chest(file_name="../../1.png")},
            "leads out of",
            "rename it",
        ),
        "other boxes than NIH's": (
            {"train_nih_names_commit_0a9d918.json": json.dumps(CHEST[1:])},
            "boxes differ from train.json",
            "replace or remove it",
        ),
    },
    "nuinsseg": {
        "unknown tissue": (
            {"human foot/tissue images/a.png": ""},
            "is not a published tissue",
            "rename it",
        ),
        "name twice": (
            {"human brain/tissue images/mo_1.png": ""},
            "is called 'mo_1', and so is",
            "a name of its own",
        ),
        "two suffixes": (
            {"human brain/tissue images/hu_1.tif": ""},
            "has the name of",
            "rename one of the two",
        ),
    },
    "cbis_ddsm": {
        "unknown pathology": (
            {"mass_case_description_train_set.csv": CASES.replace("BENIGN", "benign", 1)},
            "the pathology 'benign'",
            "correct its row",
        ),
        "no series": (
            {"mass_case_description_train_set.csv": CASES.replace(UID.format(2), "none", 1)},
            "does not name a series",
            "by the original",
        ),
        "patient on both sides of one name": (
            {"mass_case_description_test_set.csv": CASES},
            "is called 'Mass-Training_P_1_LEFT_CC', and so is",
            "list each image once",
        ),
        "series twice": (
            {f"copy/{UID.format(2)}/1.dcm": ""},
            "is the same series as",
            "move one of the two",
        ),
        "folder of an unknown series": (
            {"other/1.dcm": "DICOM"},
            "other/1.dcm: its header cannot be read",
            "intact copy",
        ),
        "table twice": (
            {"copy/mass_case_description_test_set.csv": CASES},
            "has the name of",
            "move one of the two out",
        ),
    },
}
PAIRS = [(reader, how) for reader, cases in FILES.items() for how in cases]


@pytest.mark.parametrize(("reader", "how"), PAIRS)
def test_contradictions_are_refused(data, tmp_path, reader, how):
    """Names, labels and files that contradict one another or the format are named."""
    folder = data(reader)
    files, problem, remedy = FILES[reader][how]
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8")
    refused(partial(read_records, reader, folder), problem, remedy, tmp_path)


@pytest.mark.parametrize("reader", SETS)
def test_empty_folder_is_refused(tmp_path, reader):
    """A folder with nothing in it is named, and what should be there."""
    folder = tmp_path / "nothing here"
    folder.mkdir()
    refused(partial(read_records, reader, folder), "nothing here", "path|restore|download")


@pytest.mark.parametrize("reader", SETS)
def test_file_in_place_of_the_folder_is_refused(tmp_path, reader):
    """A path that is a file, such as the archive itself, is refused."""
    path = tmp_path / "set.zip"
    path.write_bytes(b"PK")
    refused(partial(read_records, reader, path), "set.zip: no such folder", "check `path`")


@pytest.mark.parametrize("reader", SETS)
def test_empty_subfolders_are_refused(data, reader):
    """A data set whose images were all taken away is not read as one of no images."""
    folder = data(reader)
    for file in [*folder.rglob("*.png"), *folder.rglob("*.jpg"), *folder.rglob("*.tif")]:
        file.unlink()
    if reader in ("phantom_findings", "cbis_ddsm"):  # its table lists them: each is rejected
        assert not any(record.image.is_file() for record in read_records(reader, folder)) or (
            reader == "cbis_ddsm"
        )
        return
    refused(partial(read_records, reader, folder), "my set", "check|restore|replace")


def test_links_in_circles_end(data):
    """Folders that hold links to themselves are read once."""
    folder = data("cbis_ddsm")
    before = read_records("cbis_ddsm", folder)
    for name in "xyz":
        (folder / name).symlink_to(folder)
    assert read_records("cbis_ddsm", folder) == before


@pytest.mark.parametrize("labels", [["polyp"], ["polyp", "Lesion"]])
def test_label_outside_the_classes_is_refused(data, labels):
    """A label that `classes` does not list is named with the image and the key."""
    records = read_records("phantom_lesions", data("phantom_lesions"))
    refused(partial(label_columns, records, labels), "0: its label", "`classes` of the data set")


def test_patient_on_both_official_sides_is_tested(data):
    """With `split: by: official` none of a patient's images is trained on if one is tested."""
    folder = data("cbis_ddsm")
    table = folder / "mass_case_description_test_set.csv"
    table.write_text(table.read_text().replace("P_3,", "P_1,"))
    split = {"by": "official", "validation": 1, "seed": 1}
    table = folder / "mass_case_description_train_set.csv"
    table.write_text(CASES + case("P_4", 3))
    records, sides = select_records(read_records("cbis_ddsm", folder), None, split)
    by_patient = {record.group: set() for record in records}
    for record, side in zip(records, sides, strict=True):
        by_patient[record.group].add(side)
    assert by_patient.pop("P_1") == {"test"}
    assert sorted(map(sorted, by_patient.values())) == [["train"], ["validation"]]


@pytest.mark.parametrize("reader", ["kvasir", "", "record", "../reading"])
def test_unknown_readers_are_refused(tmp_path, reader):
    """A reader that does not exist, or a module that is none, is named with what there is."""
    call = partial(read_records, reader, tmp_path)
    refused(call, f"reader '{reader}' is unknown; choose one of", "kvasir_seg")


@pytest.mark.parametrize(
    ("reader", "source", "problem"),
    [
        ("kvasir_seg", {}, "reader 'kvasir_seg' has no generator"),
        (
            "phantom_findings",
            {"images": 3, "size": 32, "shortcut": {"class": "mass", "share": 1}},
            "`source: shortcut: class` is 'mass'; choose one of",
        ),
    ],
)
def test_sources_that_do_not_suit_are_refused(tmp_path, reader, source, problem):
    """A reader without generator, and a shortcut of no class, are named; nothing is written."""
    call = partial(generate, reader, tmp_path / "set", source)
    refused(call, problem, "add them|choose", tmp_path)


# What the schema refuses before any job runs: a reader without default, key or value of its own.
SETTINGS = [
    ("kvasir_seg", "options", {"masks": "polygons"}),
    ("ham10000", "options", {"abnormalities": "mass"}),
    ("cbis_ddsm", "options", {"abnormalities": "all"}),
    ("cbis_ddsm", "options", {"abnormalities": "masses"}),
    ("chestx_det10", "options", {"masks": "circles"}),
    ("phantom_lesions", "source", {}),
    ("phantom_lesions", "source", {"images": 3}),
    ("phantom_lesions", "source", {"images": 3, "size": 32, "shortcut": None}),
]


@pytest.mark.parametrize(("reader", "key", "settings"), SETTINGS)
def test_settings_of_no_reader_are_refused(reader, key, settings):
    """An option or key of a generator that its reader lacks, misspells or requires is refused."""
    known = entry_schema("datasets", "set", {"reader": reader})["properties"]
    problems = list(Draft202012Validator(known[key]).iter_errors(settings))
    assert len(problems) >= 1
