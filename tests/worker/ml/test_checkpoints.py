"""Strangers' weight files: numbers come out, or one sentence does."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from worker.ml.checkpoints import MAX_FILE_BYTES, check_state, read_checkpoint
from worker.ml.errors import ModelError

WEIGHTS = {
    "layer.weight": torch.arange(6.0).reshape(2, 3),
    "layer.running_var": torch.ones(2),
    "layer.num_batches_tracked": torch.tensor(7),
}


class Shell:
    """Unpickled by anybody who trusts it, it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    assert "\n" not in caught.value.message
    return caught.value.message


def saved(path: Path, content: object, *, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def training_checkpoint(weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """As the original project's training programs write them."""
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
    return {
        "epoch": 3,
        "loss": np.float64(0.25),
        "best_loss": float("inf"),
        "model_state_dict": weights,
        "optimizer_state_dict": optimiser.state_dict(),
        "history": [{"epoch": 0, "train_sum_loss": np.mean([1.0, 2.0]), "val_sum_loss": np.float32(1.5)}],
        "fine_tune_epoch_start": -1,
    }


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_come_out_of_a_bare_state_dict_and_of_a_training_checkpoint(
    tmp_path: Path, legacy: bool, wrapped: bool
) -> None:
    content = training_checkpoint(WEIGHTS) if wrapped else WEIGHTS
    state = read_checkpoint(saved(tmp_path / "any.name", content, legacy=legacy))
    assert list(state) == list(WEIGHTS)
    assert all(torch.equal(state[name], WEIGHTS[name]) for name in WEIGHTS)


def test_weights_come_out_of_a_safetensors_file_whatever_it_is_called(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "weights.pt")
    state = read_checkpoint(tmp_path / "weights.pt")
    assert torch.equal(state["layer.weight"], WEIGHTS["layer.weight"])


def test_what_a_network_was_wrapped_in_leaves_its_names(tmp_path: Path) -> None:
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in WEIGHTS.items()}
    assert list(read_checkpoint(saved(tmp_path / "w.pt", wrapped))) == list(WEIGHTS)


def zip_with_code(path: Path, evil: Shell) -> None:
    saved(path, {"model_state_dict": WEIGHTS, "history": evil})


def legacy_with_code(path: Path, evil: Shell) -> None:
    saved(path, {"model_state_dict": WEIGHTS, "history": evil}, legacy=True)


def tar_with_code(path: Path, evil: Shell) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            content = pickle.dumps(evil, protocol=2)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("make", [zip_with_code, legacy_with_code, tar_with_code])
def test_code_in_a_checkpoint_is_refused_and_not_run(
    tmp_path: Path, make: Callable[[Path, Shell], None]
) -> None:
    canary = tmp_path / "it ran"
    path = tmp_path / "evil.pt"
    make(path, Shell(f"touch '{canary}'"))
    sentence = refusal(path)
    assert not canary.exists()
    assert "posix.system" in sentence if make is not tar_with_code else "tar format" in sentence
    # The attack is a real one: whoever trusts the file runs it.
    with pytest.raises(Exception):  # noqa: B017 - there is nothing useful in it
        torch.load(path, weights_only=False)
        raise ValueError("the rest of it was a checkpoint")
    assert canary.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_with_code_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    canary = tmp_path / "it ran"
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Shell(f"touch '{canary}'"), protocol=protocol))
    refusal(tmp_path / "evil.pt")
    assert not canary.exists()


def test_a_whole_network_in_a_pickle_is_refused(tmp_path: Path) -> None:
    sentence = refusal(saved(tmp_path / "w.pt", torch.nn.Linear(2, 2)))
    assert "contains code (it asks for torch.nn.modules.linear.Linear)" in sentence


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/data.pkl", b"\x80\x02N.")
        archive.writestr("w/constants.pkl", b"\x80\x02).")
    assert "TorchScript" in refusal(tmp_path / "w.pt")


def test_a_file_that_was_cut_short_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "whole.safetensors")
    files = [
        saved(tmp_path / "whole.pt", training_checkpoint(WEIGHTS)),
        saved(tmp_path / "whole legacy.pt", training_checkpoint(WEIGHTS), legacy=True),
        tmp_path / "whole.safetensors",
    ]
    for whole in files:
        content = whole.read_bytes()
        for end in range(1, len(content) - 1, max(1, len(content) // 40)):
            (tmp_path / "cut").write_bytes(content[:end])
            assert str(tmp_path / "cut") in refusal(tmp_path / "cut")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_text("These are no weights.\n" * 100)
    assert "is no checkpoint" in refusal(path)
    path.write_bytes(b"")
    assert "is empty" in refusal(path)
    path.write_bytes(bytes(4096))
    assert "is no checkpoint" in refusal(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(4096))
    assert "voicesketch convert vggface" in refusal(path)
    assert "is a folder" in refusal(tmp_path)
    assert "Check the path" in refusal(tmp_path / "nowhere.pt")
    os.mkfifo(tmp_path / "pipe")
    assert "no ordinary file" in refusal(tmp_path / "pipe")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.txt", "no")
    assert "no PyTorch checkpoint" in refusal(path)
    assert "holds a list" in refusal(saved(path, [1, 2]))
    assert "neither a state dict" in refusal(saved(path, {"epoch": 1, "loss": 2.0}))
    assert "neither a state dict" in refusal(saved(path, {}))
    assert "no weights at all" in refusal(saved(path, {"model_state_dict": {}}))


def test_a_huge_file_is_not_even_opened(tmp_path: Path) -> None:
    with (tmp_path / "huge.pt").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert "files above 8 GiB are not read" in refusal(tmp_path / "huge.pt")


def test_an_archive_that_grows_when_it_is_unpacked_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "w.pt", {"zeros": torch.zeros(1 << 22)})
    with (
        zipfile.ZipFile(tmp_path / "w.pt") as archive,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in archive.namelist():
            bomb.writestr(name, archive.read(name))
    assert (tmp_path / "bomb.pt").stat().st_size < 1 << 20
    assert "was compressed" in refusal(tmp_path / "bomb.pt")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_tensor_that_is_larger_than_its_numbers_is_refused(tmp_path: Path, legacy: bool) -> None:
    endless = {"w": torch.ones(1).expand(10**6, 10**6)}
    assert "GiB of weights" in refusal(saved(tmp_path / "w.pt", endless, legacy=legacy))


@pytest.mark.parametrize("claimed", [b"K\xff", b"M\xff\xff", b"J\xff\xff\xff\x7f"])
def test_a_tensor_that_claims_more_numbers_than_the_file_has_is_refused(
    tmp_path: Path, claimed: bytes
) -> None:
    saved(tmp_path / "w.pt", {"w": torch.ones(3)})
    with (
        zipfile.ZipFile(tmp_path / "w.pt") as archive,
        zipfile.ZipFile(tmp_path / "lie.pt", "w", zipfile.ZIP_STORED) as lie,
    ):
        for name in archive.namelist():
            # The pickle says twice that there are three: of the storage, and of the tensor.
            lie.writestr(name, archive.read(name).replace(b"K\x03", claimed))
    assert "damaged" in refusal(tmp_path / "lie.pt")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.ones(2, dtype=torch.int32), "type int32"),
        (torch.ones(2, dtype=torch.bool), "type bool"),
        (torch.ones(2, dtype=torch.complex64), "type complex64"),
        (torch.tensor([1.0, float("nan")]), "not numbers"),
        (torch.tensor([1.0, float("-inf")]), "not numbers"),
        (torch.tensor([1.0, float("inf")], dtype=torch.bfloat16), "not numbers"),
        (torch.eye(2).to_sparse(), "sparse"),
        (torch.ones(2, device="meta"), "sparse, quantised or empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_a_tensor_that_no_network_has_is_refused_by_name(
    tmp_path: Path, tensor: torch.Tensor, words: str
) -> None:
    sentence = refusal(saved(tmp_path / "w.pt", {"good": torch.ones(2), "layer.weight": tensor}))
    assert words in sentence and "'layer.weight'" in sentence


def test_a_nan_is_found_far_inside_a_large_tensor() -> None:
    large = torch.zeros((1 << 24) + 3)
    large[-1] = float("nan")
    with pytest.raises(ModelError, match="not numbers"):
        check_state(Path("w.pt"), {"w": large})


def test_names_cannot_write_on_the_screen_of_whoever_reads_the_sentence(tmp_path: Path) -> None:
    sentence = refusal(saved(tmp_path / "w.pt", {"\n\x1b[2Jevil" * 50: torch.ones(2, dtype=torch.int8)}))
    assert sentence.isprintable() and len(sentence) < 400
