"""Tables and folders as users have them: any CSV dialect, any form of a name, files of systems."""

import csv
import io
import unicodedata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from segxai.datasets import reading
from segxai.datasets.record import Record, pair_by_name
from segxai.datasets.samples import select_records
from segxai.job.files import read_table
from segxai.job.log import InputError
from segxai.workflow.contents import ADDED
from segxai.workflow.names import name_key, plain
from tests.e2e.recipes import read_recipes
from tests.hostile.refusal import refused

COLUMNS = ["name", "label", "patient"]
# Letters, marks that CSV gives a meaning to, and what looks like nothing.
CODES = st.sampled_from("abcXYZ01é日İß,;\t|\"' .#=-")
CELLS = st.text(CODES, min_size=1, max_size=6).map(plain).filter(bool)
BLANKS = st.sampled_from(["", " ", "  ", "\u00a0", "\u2003", "\u200b"])
FORMS = st.sampled_from(["NFC", "NFD"])
SYSTEMS = ["Thumbs.db", "ehthumbs_vista.db", "desktop.ini", ".DS_Store", "._a.png", "~$labels.csv"]
SYSTEMS += ["Icon\r", "a.png:Zone.Identifier", "__MACOSX/a.png", "@eaDir/a.png"]


@st.composite
def tables(draw) -> tuple[list[list[str]], bytes, bool]:
    """Draw the rows of a table, one file that holds them, and whether its encoding is known."""
    rows = draw(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5))
    assume(len({name_key(row[0]) for row in rows}) == len(rows))
    order = draw(st.permutations(range(4)))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=draw(st.sampled_from(",;\t|")),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=end,
    )
    for line in [[draw(st.sampled_from([c, c.upper(), c.title()])) for c in COLUMNS], *rows]:
        # An unused column may be empty.
        cells = [*line, draw(st.sampled_from(["", "note"]))]
        spaced = [
            draw(BLANKS)
            + draw(FORMS.map(lambda f, c=cell: unicodedata.normalize(f, c)))
            + draw(BLANKS)
            for cell in cells
        ]
        writer.writerow([spaced[k] for k in order])
        if draw(st.booleans()):
            file.write(end)
    for _ in range(draw(st.integers(0, 2))):
        writer.writerow([draw(BLANKS)] * 4)
    text = file.getvalue()
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"]))
    known = encoding != "latin-1" or text.isascii()
    try:
        return rows, text.encode(encoding), known
    except UnicodeEncodeError:
        return rows, text.encode(), True


@given(tables())
@settings(max_examples=150, deadline=None)
def test_a_table_is_the_same_in_every_dialect(tmp_path_factory, table):
    """Separator, quotes, line ends, blanks, order and case of columns, marks: the cells are those.

    An encoding that no mark names is refused with its remedy, never read as other letters.
    """
    rows, content, known = table
    path = tmp_path_factory.mktemp("table") / "labels.csv"
    path.write_bytes(content)
    if known:
        assert read_table(path, COLUMNS).to_numpy().tolist() == rows
    else:
        refused(lambda: read_table(path, COLUMNS), "labels.csv: .*UTF-8", "save it as")


@given(st.text(), st.text())
@example("\u200b a", "a")
@example("A\u0308", "ä")
@settings(max_examples=200, deadline=None)
def test_plain_text_stays_and_keys_ignore_case(name, other):
    """What is plain stays so; a name has one key in whatever form, and no other name shares it."""
    assert plain(plain(name)) == plain(name)
    assert name_key(plain(name)) == name_key(name) == name_key(f" {name}\t")
    for form in ("NFC", "NFD"):
        assert name_key(unicodedata.normalize(form, name)) == name_key(name)
    assert name_key(name) == name_key(other) or plain(name) != plain(other)


PATIENTS = ["P1", "P2", "p3", "Bär", "Ω 7", "9"]
WRITTEN = [str, str.upper, str.lower, lambda name: f" {name}", lambda name: f"{name}\u00a0"]
WRITTEN += [lambda name: unicodedata.normalize("NFD", name), lambda name: name.replace(" ", "  ")]


@given(
    st.lists(st.tuples(st.sampled_from(PATIENTS), st.sampled_from(WRITTEN)), min_size=6),
    st.integers(1, 4),
    st.integers(0, 2),
    st.integers(0, 9),
)
@settings(max_examples=100, deadline=None)
def test_no_patient_is_on_two_sides(rows, validation, test, seed):
    """However a patient is written in each line, all of the images are on one side of the split."""
    records = [
        Record(f"i{k}", Path(f"i{k}.png"), None, "nv", write(patient))
        for k, (patient, write) in enumerate(rows)
    ]
    split = {"validation": validation, "test": test, "seed": seed}
    try:
        kept, sides = select_records(reading.distinct(records), None, split)
    except InputError:
        return
    by_patient = {patient: set() for patient, _ in rows}
    groups = {patient: set() for patient, _ in rows}
    for (patient, _), record, side in zip(rows, kept, sides, strict=True):
        by_patient[patient].add(str(side))
        groups[patient].add(record.group)
    assert {len(values) for values in by_patient.values()} == {1}
    assert {len(values) for values in groups.values()} == {1}


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path, "PNG")


@given(
    st.lists(st.text(st.sampled_from("aBé日.1_ "), min_size=1, max_size=5), min_size=1, max_size=5),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_images_and_masks_are_paired_by_name(tmp_path_factory, names, data):
    """Image and mask are a pair in any case, form of Unicode and suffix; none is lost."""
    names = list({name_key(name): plain(name) for name in names if plain(name).strip(".")}.values())
    assume(names)
    root = tmp_path_factory.mktemp("pairs")
    for part in ("images", "masks"):
        for name in names:
            written = unicodedata.normalize(data.draw(FORMS), name)
            written = data.draw(st.sampled_from([written, written.upper(), written.lower()]))
            suffix = data.draw(st.sampled_from([".png", ".jpg", ".JPG", ".tif"]))
            save(root / part / f"_{written}{suffix}")
    pairs = pair_by_name(root)
    assert [name_key(name) for name, *_ in pairs] == [name_key(name) for name, *_ in sorted(pairs)]
    assert {name_key(name) for name, *_ in pairs} == {name_key(f"_{name}") for name in names}
    assert all(image.is_file() and mask.is_file() for _, image, mask in pairs)
    assert len({*(image for _, image, _ in pairs)}) == len({*(mask for *_, mask in pairs)})


@pytest.mark.parametrize("name", SYSTEMS)
def test_files_of_systems_are_known(name):
    """What a system adds is known by its name in any case; an image of nearly that name is not."""
    part = name.split("/")[0]
    assert ADDED.fullmatch(part) and ADDED.fullmatch(part.upper())
    assert not ADDED.fullmatch("thumbs.png") and not ADDED.fullmatch("desktop.ini.png")


@pytest.fixture
def clinic(tmp_path, checkout, monkeypatch):
    """Return a folder of six images, and a function that reads it as docs/extend.md prints it."""
    recipe = read_recipes(checkout / "docs/extend.md")["A data set"]
    (text,) = (text for name, text in recipe.files.items() if name.endswith(".py"))
    module = ModuleType("png_folder")
    exec(text, module.__dict__)
    monkeypatch.setattr(reading, "load_reader", lambda *_: (module, {}))
    for name in "abcdéf":
        for part in ("images", "masks"):
            save(tmp_path / part / f"{name}.png")
    lines = [f"{name},lesion,P{k // 2}" for k, name in enumerate("abcdéf")]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["name,label,patient", *lines, ""]), encoding="utf-8")
    return table, lambda: reading.read_records("png_folder", tmp_path)


def test_a_users_reader_meets_names_as_they_are(clinic):
    """A reader as in the docs finds files of other case and form, and joins a patient's images."""
    table, read = clinic
    before = read()
    folder = table.parent
    (folder / "images/a.png").rename(folder / "images/A.PNG")
    (folder / "masks/é.png").rename(folder / unicodedata.normalize("NFD", "masks/é.png"))
    text = table.read_text(encoding="utf-8").replace("a,lesion,P0", " a , lesion,p0 ")
    table.write_bytes(text.replace(",", ";").replace("\n", "\r\n").encode("utf-16"))
    after = read()
    assert [record.image_id for record in after] == list("abcdéf")
    assert [record.group.lower() for record in after] == [r.group.lower() for r in before]
    assert len({record.group for record in after}) == 3
    assert all(record.image.is_file() and record.mask.is_file() for record in after)


@pytest.mark.parametrize(
    ("old", "new", "problem", "remedy"),
    [
        ("b,lesion,P0\n", "b,lesion,P0\nA ,lesion,P9\n", "lines 2 and 4 are both of 'A'", "keep"),
        ("b,lesion,P0\n", "b,lesion,P0\n\nb,healthy,P1\n", "lines 3 and 5 are both", "keep one"),
        ("b,lesion,P0", "b,lesion,   ", "line 3 is incomplete, its 'patient' is empty", "fill it"),
        ("b,lesion,P0", "b,lesion", "line 3 is incomplete, its 'patient' is empty", "fill it in"),
        ("b,lesion,P0", "b,les,ion,P0", "line 3 has more cells", "intact copy"),
        ("name,label", "name,label,Label ", "has two columns 'label'", "rename one"),
        ("b,lesion", "b,lesion\x00", ".*UTF-8", "save it as UTF-8"),
    ],
)
def test_a_users_table_is_refused_by_its_lines(clinic, old, new, problem, remedy):
    """A name twice, an empty cell, a cell too many: the sentence has the lines of the file."""
    table, read = clinic
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    refused(read, f"labels.csv: {problem}", remedy, table.parent)


@pytest.mark.parametrize(
    ("field", "value"),
    [("group", " "), ("group", float("nan")), ("group", 7), ("label", ""), ("image_id", None)],
)
def test_a_record_without_a_name_is_refused(clinic, monkeypatch, field, value):
    """A new reader may not pass on an empty cell, or a value that is not text."""
    records = clinic[1]()
    object.__setattr__(records[1], field, value)
    own = SimpleNamespace(read=lambda _: records)
    monkeypatch.setattr(reading, "load_reader", lambda *_: (own, {}))
    refused(clinic[1], f"b.png: its {field} is .* must be text", "png_folder.py|correct that file")


def test_two_images_of_one_name_are_refused(clinic, monkeypatch):
    """For any reader, names of images that differ only in case are refused."""
    records = clinic[1]()
    object.__setattr__(records[1], "image_id", "A")
    own = SimpleNamespace(read=lambda _: records)
    monkeypatch.setattr(reading, "load_reader", lambda *_: (own, {}))
    refused(clinic[1], "b.png: is called 'A', and so is .*a.png", "a name of its own")
    object.__setattr__(records[1], "image_id", "b")
    records.append(records[0])
    refused(clinic[1], "a.png: is called 'a', and so is another image", "list each image once")
