"""Arrays, tables, facts and weights that nobody checked: read without running code, or refused."""

import json
import pickle
import struct
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from segxai.images.arrays import npy_rows, read_array
from segxai.job.files import atomic_path, read_facts, read_rows
from segxai.networks.inputs import channel_statistics
from segxai.networks.network import Network, build_network
from segxai.networks.saving import save_weights
from segxai.networks.weights import read_state_dict
from tests.hostile.refusal import refused

FRESH = "delete (it|the file) and run again"


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("trap"),)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, so that executed code leaves a visible file."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("trap").exists()


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + content


def described(descr: str, shape: str = "(4,)") -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", bytes(64))


def saved(array, **options) -> bytes:
    np.save("saved.npy", array, **options)
    content = Path("saved.npy").read_bytes()
    Path("saved.npy").unlink()
    return content


def zipped() -> bytes:
    np.savez("saved.npz", a=np.ones(3))
    content = Path("saved.npz").read_bytes()
    Path("saved.npz").unlink()
    return content


ARRAYS = {
    "nothing": lambda: b"",
    "text": lambda: b"array",
    "mark alone": lambda: b"\x93NUMPY",
    "header cut": lambda: saved(np.ones(9))[:40],
    "values cut": lambda: saved(np.ones(9))[:-1],
    "values missing": lambda: saved(np.ones(9))[:128],
    "pickle": lambda: pickle.dumps(Trap()),
    "pickle in an array": lambda: saved(np.array([Trap()], object), allow_pickle=True),
    "archive of arrays": zipped,
    "objects": lambda: described("'|O'"),
    "text values": lambda: described("'<U4'"),
    "dates": lambda: described("'<M8[s]'"),
    "records": lambda: described("[('a', '<f4')]"),
    "raw bytes": lambda: described("'|V8'"),
    "complex": lambda: described("'<c8'"),
    "unknown type": lambda: described("'<q9'"),
    "negative shape": lambda: described("'<f2'", "(-1,)"),
    "shape beyond the file": lambda: described("'<f2'", f"({2**40},)"),
    "shape beyond the machine": lambda: described("'<f2'", f"({10**30},)"),
    "shape of text": lambda: described("'<f2'", "('a',)"),
    "code in the header": lambda: npy("__import__('pathlib').Path('trap').touch()"),
    "open brackets": lambda: npy("(" * 9000),
    "open quotes": lambda: npy("'''"),
    "no mapping": lambda: npy("[]"),
    "unknown version": lambda: npy("{}", version=b"\x09\x00"),
}


@pytest.mark.parametrize("case", ARRAYS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_other_files_than_arrays_of_numbers_are_refused(tmp_path, case):
    """One sentence names the file and how to make it anew, and no code in it has run."""
    path = tmp_path / "maps 0.npy"
    path.write_bytes(ARRAYS[case]())
    refused(partial(read_array, path), f"^{path}: ", FRESH, tmp_path)


def test_arrays_of_nothing_and_of_every_number_are_read(tmp_path):
    """No rows at all are rows, and every type of numbers is kept."""
    for dtype in ("?", "u1", "<u2", ">i4", "<f2", "<f8"):
        np.save(tmp_path / "a.npy", np.ones((0, 3), dtype))
        assert read_array(tmp_path / "a.npy").shape == (0, 3)
        np.save(tmp_path / "a.npy", np.ones((2, 3), dtype, order="F"))
        assert (read_array(tmp_path / "a.npy") == 1).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_non_finite_values_are_not_written(tmp_path, value, dtype):
    """A row with NaN or infinite values is refused by its number, and leaves no file."""

    def write():
        with (
            atomic_path(tmp_path / "a.npy") as path,
            npy_rows(path, (3,), dtype) as append,
        ):
            append(np.ones(3, dtype))
            append(np.array([1, value, 2], dtype))

    refused(write, "row 1 would hold NaN or infinite", "check the files", tmp_path)


OWN = {
    "missing table": (read_rows, None, "no such file"),
    "empty table": (read_rows, b"", ".*CSV"),
    "binary table": (read_rows, b"\xff\xfe\0\0" * 9, ".*CSV"),
    "ragged table": (read_rows, b"a,b\n1,2\n1,2,3\n", ".*CSV"),
    "shifted table": (read_rows, b"a,b\n1,2,3\n", "its rows have more cells"),
    "missing facts": (read_facts, None, "no such file"),
    "empty facts": (read_facts, b"", ".*JSON"),
    "facts cut": (read_facts, b'{"folder": "/a', ".*JSON"),
    "facts in a list": (read_facts, b"[]", ".*JSON"),
    "facts too deep": (read_facts, b'{"a":' * 99_999, ".*JSON"),
    "facts in latin-1": (read_facts, b'{"folder": "\xe4"}', ".*UTF-8"),
}


@pytest.mark.parametrize("case", OWN)
def test_own_files_that_were_spoilt_are_named(tmp_path, case):
    """A damaged table or receipt is named, and made again after deletion."""
    read, content, problem = OWN[case]
    path = tmp_path / "own file"
    if content is not None:
        path.write_bytes(content)
    refused(partial(read, path), f"^{path}: {problem}", "run again|restore")


def torch_file(content) -> bytes:
    torch.save(content, "saved.pt")
    saved = Path("saved.pt").read_bytes()
    Path("saved.pt").unlink()
    return saved


def legacy(content) -> bytes:
    torch.save(content, "saved.pt", _use_new_zipfile_serialization=False)
    saved = Path("saved.pt").read_bytes()
    Path("saved.pt").unlink()
    return saved


def repacked(method=zipfile.ZIP_DEFLATED) -> bytes:
    """A torch file of 4 MB of zeros, compressed."""
    Path("plain.pt").write_bytes(torch_file({"a": torch.zeros(10**6)}))
    with zipfile.ZipFile("plain.pt") as source, zipfile.ZipFile("packed.pt", "w", method) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    content = Path("packed.pt").read_bytes()
    Path("plain.pt").unlink()
    Path("packed.pt").unlink()
    return content


def cycle() -> dict:
    state: dict = {}
    state["model"] = state
    return state


def tensors(header: bytes, content: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + content


def safe(**state) -> bytes:
    return safetensors.torch.save(state)


AGAIN = "download it again"
WEIGHTS = {
    "empty.pt": (lambda: b"", "not a readable", AGAIN),
    "text.pt": (lambda: b"hello", "not a readable|more than tensors", "."),
    "page.pt": (lambda: b"<html>moved</html>", "not a readable|more than tensors", "."),
    "cut.pt": (lambda: torch_file({"a": torch.ones(999)})[:2000], "not a readable", AGAIN),
    "cut legacy.pt": (lambda: legacy({"a": torch.ones(999)})[:-99], "not a readable", AGAIN),
    "pickle.pt": (lambda: pickle.dumps(Trap()), "more than tensors", "as safetensors"),
    "trap.pt": (lambda: torch_file({"a": Trap()}), "more than tensors", "as safetensors"),
    "trap legacy.pt": (lambda: legacy({"a": Trap()}), "more than tensors", "as safetensors"),
    "network.pt": (lambda: torch_file(torch.nn.Linear(2, 2)), "more than tensors", "safetensors"),
    "numpy.pt": (lambda: pickle.dumps({"a": np.ones(2)}), "more than tensors", "safetensors"),
    "compressed.pt": (repacked, "its entries are compressed", AGAIN),
    "repeated.pt": (
        lambda: torch_file({"a": torch.ones(1).expand(2**40)}),
        "far more than its size",
        "contiguous",
    ),
    "text inside.pt": (lambda: torch_file("hello"), "holds no tensors", "state dict"),
    "list.pt": (lambda: torch_file([torch.ones(2)]), "holds no tensors", "state dict"),
    "nothing.pt": (lambda: torch_file({}), "holds no tensors", "state dict"),
    "numbers for keys.pt": (lambda: torch_file({1: torch.ones(2)}), "holds no tensors", "state"),
    "in a circle.pt": (lambda: torch_file(cycle()), "holds no tensors", "state dict"),
    "sparse.pt": (lambda: torch_file({"a": torch.eye(2).to_sparse()}), "a is sparse", "dense"),
    "complex.pt": (lambda: torch_file({"a": torch.ones(2) * 1j}), "a is sparse", "dense"),
    "quantised.pt": (
        lambda: torch_file({"a": torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8)}),
        "a is sparse, quantised",
        "dense",
    ),
    "NaN.pt": (lambda: torch_file({"a": torch.tensor([1, torch.nan])}), "a and 0 other", "another"),
    "infinite.pt": (lambda: torch_file({"a": torch.tensor(torch.inf)}), "NaN or inf", "another"),
    "zip.pt": (lambda: zipped(), "not a readable|more than", "."),
    "empty.safetensors": (lambda: b"", "not a readable", AGAIN),
    "text.safetensors": (lambda: b"hello, this is text", "not a readable", AGAIN),
    "cut.safetensors": (lambda: safe(a=torch.ones(99))[:-1], "not a readable", AGAIN),
    "long header.safetensors": (lambda: struct.pack("<Q", 2**60), "not a readable", AGAIN),
    "no json.safetensors": (lambda: tensors(b"{'a'"), "not a readable", AGAIN),
    "beyond the file.safetensors": (
        lambda: tensors(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'),
        "not a readable",
        AGAIN,
    ),
    "before the file.safetensors": (
        lambda: tensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}', bytes(4)),
        "not a readable",
        AGAIN,
    ),
    "overlapping.safetensors": (
        lambda: tensors(
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
            b'"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            bytes(4),
        ),
        "not a readable",
        AGAIN,
    ),
    "unknown type.safetensors": (
        lambda: tensors(b'{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        "not a readable",
        AGAIN,
    ),
    "pickle.safetensors": (lambda: pickle.dumps(Trap()), "not a readable", AGAIN),
    "nothing.safetensors": (lambda: safe(), "holds no tensors|not a readable", "."),
    "NaN.safetensors": (lambda: safe(a=torch.tensor([torch.nan])), "NaN or inf", "another"),
    "infinite.safetensors": (lambda: safe(a=-torch.tensor([torch.inf])), "NaN or inf", "another"),
}


@pytest.mark.parametrize("case", WEIGHTS)
@pytest.mark.filterwarnings("ignore")
def test_hostile_weights_are_refused(tmp_path, case):
    """One sentence names the file and the remedy, and no code in it has run."""
    make, problem, remedy = WEIGHTS[case]
    path = tmp_path / case
    path.write_bytes(make())
    refused(partial(read_state_dict, path), f"^{path}: .*({problem})", remedy, tmp_path)


def test_missing_weights_name_the_key(tmp_path):
    """A file that is not there, or a folder, is named with the key that names it."""
    for path in (tmp_path / "none.pt", tmp_path, ""):
        refused(partial(read_state_dict, path), "no such weights file", "correct `weights`")


@pytest.mark.filterwarnings("ignore")
def test_unusual_weights_are_read(tmp_path):
    """Half precision, DINO's containers, prefixes and unusual names give the same tensors."""
    path = tmp_path / "my weights ä.pth"
    for content in (
        torch_file({"teacher": {"module.backbone.a": torch.ones(2).half()}, "epoch": 3}),
        torch_file({"state_dict": {"a": torch.ones(4)[::2]}}),
        legacy({"model": {"module.a": torch.ones(2)}}),
        torch_file({"a": torch.ones(2, dtype=torch.uint8)}),
    ):
        path.write_bytes(content)
        state = read_state_dict(path)
        assert list(state) == ["a"] and state["a"].tolist() == [1, 1]
        assert state["a"].dtype == torch.float32


def network(**changes) -> dict:
    """Define a tiny classifier."""
    arguments = {"stem_width": 8, "channels": [16, 32, 64, 64]}
    chosen = {"method": "timm_classifier", "architecture": "resnet10t", "arguments": arguments}
    chosen |= {"head_features": None, "pretrained": False, "weights": None, "input_size": 32}
    return chosen | {"normalisation": "pretraining"} | changes


UNET = {"method": "unet", "width": 4, "pretrained": False, "weights": None, "input_size": 32}
UNET |= {"normalisation": "pretraining"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """Return the weights of a tiny network of two classes."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(build_network(network(), 2, 3, 0), path)
    return path


@pytest.mark.parametrize(
    ("changes", "problem", "remedy"),
    [
        ({"arguments": {}}, "has another shape than", "`architecture` and `arguments`"),
        ({"architecture": "resnet18", "arguments": {}}, "shape|missing", "`architecture`"),
        (
            {"architecture": "vit_tiny_patch16_224", "arguments": {"depth": 1}},
            "missing|not weights",
            "`architecture`",
        ),
        ({"architecture": "resnet99"}, "timm has no 'resnet99'", "the nearest are"),
        ({"architecture": ""}, "timm has no ''", "the nearest are"),
        ({"arguments": {"depht": 3}}, "networks.arguments of resnet10t .*depht", "correct them"),
        (
            {"arguments": {"channels": [0]}},
            "networks.arguments|another shape",
            "correct|`arguments`",
        ),
        ({"arguments": {"stem_width": -8}}, "networks.arguments of resnet10t", "correct them"),
        ({"arguments": {"channels": "many"}}, "networks.arguments of resnet10t", "correct them"),
    ],
)
def test_published_weights_of_another_network_are_refused(tiny, changes, problem, remedy):
    """Weights, architecture and arguments that do not belong together are named."""
    chosen = network(weights=str(tiny)) | changes
    refused(partial(Network.published, chosen, torch.device("cpu")), problem, remedy)


def test_settings_that_a_network_cannot_have_are_refused():
    """A width below 1, or a download that nobody published, is one sentence about the network."""
    for changes in ({"width": -1}, {"pretrained": True}):
        call = partial(build_network, UNET | changes, 1, 3, 0)
        refused(call, "networks: unet cannot be built", "correct them")


def test_trained_weights_of_another_network_are_refused(tiny, tmp_path):
    """Weights with another number of outputs, or of another network, are named by their file."""
    cpu = torch.device("cpu")

    def card(outputs):
        path = tmp_path / f"card-{outputs}.json"
        path.write_text(json.dumps({"outputs": outputs}))
        return path

    call = partial(Network.load, str(tiny), card(3), None, network(), 3, cpu)
    refused(call, "tiny.safetensors: not weights of timm_classifier with 3 outputs", FRESH)
    call = partial(Network.load, str(tiny), card(1), None, UNET, 3, cpu)
    refused(call, "tiny.safetensors: not weights of unet", FRESH)
    path = tmp_path / "unet.safetensors"
    save_weights(build_network(UNET, 2, 3, 0), path)
    for outputs, channels in ((3, 3), (2, 1)):
        call = partial(Network.load, str(path), card(outputs), None, UNET, channels, cpu)
        refused(call, f"unet.safetensors: not weights of unet with {outputs} outputs", FRESH)


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_statistics_that_were_spoilt_are_named(tmp_path, content):
    """Statistics of the training images that are not whole are named before they are used."""
    path = tmp_path / "statistics.json"
    path.write_text(content)
    call = partial(channel_statistics, {"normalisation": "training"}, str(path), 3)
    refused(call, "statistics.json: is no", FRESH)
