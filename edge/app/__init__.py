"""The composition root: the only package that knows engines, links and the runtime at once.

``models`` reads configurations and knows the catalogue, ``builders`` and ``engines`` put engines on lanes, ``links`` opens
links and files. Imports are lazy, so that ``nearsight --help`` loads nothing.
"""

from __future__ import annotations

from edge.app.builders import BUILDERS, ENGINES
from edge.app.engines import OPTIONAL, build_engines, choices, degrade, fakes, lane, memory_plan, segmenter
from edge.app.links import (
    access,
    bundle_link,
    file_link,
    notifier,
    open_link,
    opus,
    qr_code,
    read_picture,
    read_sound,
    read_video,
    sim_glasses,
    wyoming_server,
)
from edge.app.models import (
    DEFAULT_PROFILE,
    EXTRA,
    add_model,
    bundle_models,
    catalogue,
    export_folder,
    export_model,
    exported_models,
    load_config,
    machine,
    model_path,
    models_of,
    pull_model,
    questions,
    remove_model,
    verify_model,
    vision_files,
)

__all__ = [
    "DEFAULT_PROFILE",
    "BUILDERS",
    "ENGINES",
    "EXTRA",
    "OPTIONAL",
    "access",
    "add_model",
    "build_engines",
    "bundle_link",
    "bundle_models",
    "catalogue",
    "choices",
    "degrade",
    "export_folder",
    "export_model",
    "exported_models",
    "fakes",
    "file_link",
    "lane",
    "load_config",
    "machine",
    "memory_plan",
    "model_path",
    "models_of",
    "notifier",
    "open_link",
    "opus",
    "pull_model",
    "qr_code",
    "questions",
    "read_picture",
    "read_sound",
    "read_video",
    "remove_model",
    "segmenter",
    "sim_glasses",
    "verify_model",
    "vision_files",
    "wyoming_server",
]
