"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output, and nothing else there.")]
Profile = Annotated[str | None, typer.Option("--profile", "-p", help="What runs where; auto chooses for this machine.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="A TOML file laid over the profile.")]
Image = Annotated[Path | None, typer.Option("--image", help="What the camera sees: a picture.")]
Video = Annotated[Path | None, typer.Option("--video", help="What the camera sees: a video.")]
NoWake = Annotated[bool, typer.Option("--no-wake", help="Questions need no wake word.")]
Fast = Annotated[bool, typer.Option("--fast", help="As fast as the machine can instead of at real-time pace.")]
Record = Annotated[Path | None, typer.Option("--record", help="Write a session bundle into this folder.")]
