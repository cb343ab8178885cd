"""SAM 2.1 as its authors run it, driven as a stream: the reference that our tracker is held against.

``SAM2VideoPredictor`` reads a whole video before it begins. Its inference state is a dictionary, so it is made by hand here,
with one picture in it, and each picture is propagated by itself. Three things make that the same to the last bit as the whole
video at once:

- ``num_frames`` is constant and large. The predictor takes ``min(num_frames, 16)`` both for how many object pointers it reads
  and for the scale of their ages, so a count that grows changes the first 15 pictures.
- What no later picture reads is dropped: of the pictures without a prompt all but the newest 15, and every old picture.
- ``fill_hole_area`` is 0: filling wants CUDA code that the package does not carry.

Conditioning entries are kept for ever, as the reference does. ``bounded=False`` keeps everything, for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineMissing, InputError
from edge.ports import Stop
from edge.tracks import Floats, SegmentPrompt
from edge.values import EngineInfo, Mask, Pixels, VideoFrame
from models.sam2_input import square

if TYPE_CHECKING:
    from torch import Tensor

ENDLESS = 1 << 30
"""Pictures that a stream is said to have."""
READ = 15
"""How many pictures back the predictor reads: ``max_obj_ptrs_in_encoder`` - 1."""

State = dict[str, Any]


class Sam2Torch:
    """Follows objects with the reference predictor. Implements ``edge.ports.Segmenter``."""

    def __init__(self, build: Callable[[], Any], *, device: str = "cpu", bounded: bool = True) -> None:
        """``build`` gives a ``SAM2VideoPredictor``; it is called in ``open``. ``device`` is torch's name of one."""
        self._build = build
        self._device = device
        self._bounded = bounded
        self._model: Any = None
        self.reset()

    @property
    def info(self) -> EngineInfo:
        """Name, version of the package sam2, model and licence."""
        return EngineInfo("sam2-torch", version("sam2"), "sam2.1", "Apache-2.0", {"device": self._device})

    def open(self) -> None:
        """Builds the predictor. Raises EngineMissing without torch and sam2."""
        if self._model is not None:
            return
        try:
            import sam2.sam2_video_predictor as module
        except ImportError as error:
            raise EngineMissing(f"SAM 2 in torch needs {error.name}: pip install 'nearsight[sam2]'") from error
        module.tqdm = _silent  # a progress bar for every single picture
        self._model = self._build().to(self._device).eval()
        self._model.fill_hole_area = 0

    def close(self) -> None:
        """Frees the predictor."""
        self.reset()
        self._model = None

    @property
    def objects(self) -> tuple[int, ...]:
        """The ids of everything followed, in the order in which it was added."""
        return tuple(self._state["obj_ids"]) if self._state else ()

    @property
    def logits(self) -> Mapping[int, Floats]:
        """The mask logits (size / 4, size / 4) of everything that was looked for in the newest picture."""
        return {name: out["pred_masks"][0, 0].cpu().numpy() for name in self.objects if (out := self._newest(name)) is not None}

    @property
    def held(self) -> Mapping[int, int]:
        """How many memory maps each object holds."""
        return {name: len(_cond(outputs)) + len(_others(outputs)) for name, outputs in self._outputs()}

    def reset(self) -> None:
        """Forgets everything."""
        self._state: State | None = None
        self._pixels: Pixels | None = None
        self._index = -1

    def remove(self, object_id: int) -> None:
        """Stops following one object; one that is not followed is passed over."""
        if self._state is not None:
            self._model.remove_object(self._state, object_id, strict=False, need_output=False)

    def add(self, frame: VideoFrame, prompt: SegmentPrompt, object_id: int) -> Mask:
        """Begins to follow what is meant, or corrects it where the id is followed already. Raises InputError."""
        self._fits(frame.pixels)
        prompt.check(*frame.pixels.shape[:2])
        state = self._turn_to(frame.pixels)
        self._point_out(state, prompt, object_id)
        return self._mask(object_id)

    def cut_out(self, frame: VideoFrame, prompt: SegmentPrompt) -> Mask:
        """Gives the mask (id 0) of what is meant in one picture; what is followed stays as it is. Raises InputError."""
        prompt.check(*frame.pixels.shape[:2])
        kept = self._state, self._pixels, self._index
        self.reset()
        try:
            self._point_out(self._turn_to(frame.pixels), prompt, 0)
            return self._mask(0)
        finally:
            self._state, self._pixels, self._index = kept

    def track(self, frame: VideoFrame, stop: Stop) -> tuple[Mask, ...]:
        """Gives the masks of everything followed in a picture, by ``objects``; none if ``stop`` is set. Raises InputError."""
        self._fits(frame.pixels)
        if not self.objects or stop:
            return ()
        state = self._turn_to(frame.pixels)
        for _ in self._model.propagate_in_video(state, start_frame_idx=self._index, max_frame_num_to_track=0):
            pass
        return tuple(self._mask(name) for name in self.objects)

    def _fits(self, pixels: Pixels) -> None:
        if self._pixels is not None and self._pixels.shape[:2] != pixels.shape[:2]:
            (height, width), (old_height, old_width) = pixels.shape[:2], self._pixels.shape[:2]
            self.reset()
            raise InputError(
                f"the pictures are {width}x{height} pixels now and were {old_width}x{old_height}: nothing is followed any more"
            )

    def _turn_to(self, pixels: Pixels) -> State:
        """Makes a picture the newest one. What was pointed out in the one before is remembered first: it needs its picture."""
        import torch

        if self._state is not None and pixels is self._pixels:
            return self._state
        if self._state is None:
            self._state = _new_state(torch.device(self._device), *pixels.shape[:2])
        elif self.objects:
            self._model.propagate_in_video_preflight(self._state)
        self._index += 1
        self._pixels = pixels
        image = torch.from_numpy(square(pixels, self._model.image_size)[0])
        if self._bounded:
            self._state["images"].clear()
            self._forget()
        self._state["images"][self._index] = image
        return self._state

    def _forget(self) -> None:
        """Drops what no picture from the newest on reads."""
        assert self._state is not None
        oldest = self._index - READ
        for _, outputs in self._outputs():
            for index in [index for index in _others(outputs) if index < oldest]:
                del _others(outputs)[index]
        for name in ("frames_tracked_per_obj", "point_inputs_per_obj", "mask_inputs_per_obj"):
            for of_one in self._state[name].values():
                for index in [index for index in of_one if index < self._index - 1]:
                    del of_one[index]

    def _point_out(self, state: State, prompt: SegmentPrompt, object_id: int) -> None:
        known = state["obj_id_to_idx"].get(object_id)
        if known is not None and self._index in _cond(state["output_dict_per_obj"][known]):
            # A picture that the object was first pointed out in may be corrected after it was tracked: without this the
            # predictor would file the correction under the other pictures and throw it away there.
            state["frames_tracked_per_obj"][known].pop(self._index, None)
        if prompt.mask is not None:
            self._model.add_new_mask(state, self._index, object_id, prompt.mask)
            return
        box = prompt.box
        wanted = prompt.wanted or (True,) * len(prompt.points)
        self._model.add_new_points_or_box(
            state,
            self._index,
            object_id,
            points=np.array(prompt.points, np.float32).reshape(-1, 2),
            labels=np.array(wanted, np.int32),
            clear_old_points=box is not None,
            box=None if box is None else np.array([box.x0, box.y0, box.x1, box.y1], np.float32),
        )

    def _outputs(self) -> Iterator[tuple[int, State]]:
        for name in self.objects:
            assert self._state is not None
            yield name, self._state["output_dict_per_obj"][self._state["obj_id_to_idx"][name]]

    def _newest(self, object_id: int) -> State | None:
        """What was found of an object in the newest picture: first of all what was pointed out and is yet to be remembered."""
        assert self._state is not None
        index = self._state["obj_id_to_idx"][object_id]
        for kept in (self._state["temp_output_dict_per_obj"][index], self._state["output_dict_per_obj"][index]):
            for outputs in (_cond(kept), _others(kept)):
                if self._index in outputs:
                    return outputs[self._index]
        return None

    def _mask(self, object_id: int) -> Mask:
        found = self._newest(object_id)
        assert self._state is not None and found is not None
        _, masks = self._model._get_orig_video_res_output(self._state, found["pred_masks"])
        bits: NDArray[np.bool_] = (masks[0, 0] > 0).cpu().numpy()
        pointer: Tensor = found["obj_ptr"][0]
        appearance: Floats = (pointer / pointer.norm()).cpu().numpy()
        return Mask(object_id, bits, float(found["object_score_logits"].sigmoid()), appearance)


def _new_state(device: Any, height: int, width: int) -> State:
    """What ``SAM2VideoPredictor.init_state`` makes, with pictures by their index instead of a list of all."""
    from collections import OrderedDict

    return {
        "images": {},
        "num_frames": ENDLESS,
        "offload_video_to_cpu": False,
        "offload_state_to_cpu": False,
        "video_height": height,
        "video_width": width,
        "device": device,
        "storage_device": device,
        "point_inputs_per_obj": {},
        "mask_inputs_per_obj": {},
        "cached_features": {},
        "constants": {},
        "obj_id_to_idx": OrderedDict(),
        "obj_idx_to_id": OrderedDict(),
        "obj_ids": [],
        "output_dict_per_obj": {},
        "temp_output_dict_per_obj": {},
        "frames_tracked_per_obj": {},
    }


def _cond(outputs: State) -> dict[int, State]:
    found: dict[int, State] = outputs["cond_frame_outputs"]
    return found


def _others(outputs: State) -> dict[int, State]:
    found: dict[int, State] = outputs["non_cond_frame_outputs"]
    return found


def _silent(frames: Any, **_: Any) -> Any:
    return frames
