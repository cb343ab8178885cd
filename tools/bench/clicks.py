"""Where somebody points in the real clips of the shared data, and where the thing is later: drawn by hand, to a few pixels.

``TUNED`` names the clicks on which the classical segmenter's figures were chosen. The others were looked at only afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.values import Box

Truth = dict[int, tuple[int, int, int, int] | None]
"""By the picture's number in the file: x0, y0, x1, y1 in pixels around what can be seen of it; None where that is nothing.

Pictures in which hardly anything can be seen of it are left out.
"""


@dataclass(frozen=True)
class Click:
    """One thing in a clip."""

    file: str
    points: tuple[tuple[float, float], ...]
    boxes: Truth = field(default_factory=dict)
    start: int = 0
    """The picture that is pointed at."""
    frames: int = 320
    """For how many pictures it is followed."""

    def box(self, index: int) -> Box | None:
        """Gives the box of a picture that has an entry; None where nothing can be seen."""
        corners = self.boxes[index]
        return None if corners is None else Box(*corners)


TUNED = ("ball", "boy", "car", "dog", "table")

CLICKS = {
    "ball": Click(
        "juggle.mp4",
        ((650, 325),),
        {
            0: (613, 288, 692, 364),
            35: (687, 410, 773, 497),
            70: (714, 478, 796, 567),
            105: (764, 347, 857, 440),
            140: (556, 413, 640, 502),
            175: (712, 383, 808, 479),
            210: (840, 399, 927, 483),
            246: (798, 513, 867, 592),
        },
    ),
    "bottle": Click(
        "bottle-detection.mp4",
        ((315, 210),),
        {index: (288, 109, 343, 311) for index in (0, 45, 91, 136, 182, 227, 273, 319)},
    ),
    "boy": Click(
        "bedroom.mp4",
        ((210, 350), (250, 220)),
        {
            0: (148, 133, 293, 402),
            28: (202, 180, 300, 426),
            56: (270, 229, 319, 400),
            113: (80, 213, 163, 463),
            142: (0, 257, 124, 518),
            170: (0, 93, 182, 540),
            199: (102, 0, 272, 425),
        },
    ),
    "bush": Click(
        "walk_first_person.mp4",
        ((352, 150),),
        {
            0: (332, 106, 395, 188),
            44: (329, 108, 391, 190),
            89: (311, 97, 391, 203),
            134: (298, 88, 391, 205),
            179: (295, 80, 398, 219),
            224: (286, 59, 408, 223),
            269: (267, 56, 404, 255),
            314: (0, 0, 208, 215),
        },
    ),
    "car": Click(
        "dashcam.mp4",
        ((160, 315),),
        {
            83: (120, 291, 200, 343),
            102: (159, 293, 232, 341),
            122: (193, 299, 256, 338),
            141: (215, 299, 276, 336),
            161: (243, 300, 293, 334),
            180: (256, 298, 300, 330),
            200: (267, 299, 311, 329),
            220: (280, 299, 324, 327),
        },
        start=83,
    ),
    "cup": Click(  # later on it is not clear even to the eye which cup is which
        "cups.mp4",
        ((650, 420),),
        {
            0: (573, 292, 736, 541),
            42: (573, 292, 739, 541),
            85: (596, 288, 759, 535),
            95: (596, 291, 759, 531),
            115: (591, 283, 746, 523),
            128: (591, 280, 751, 528),
            137: (605, 287, 764, 527),
        },
        frames=138,
    ),
    "dog": Click(
        "dog.mp4",
        ((570, 420),),
        {
            0: (452, 378, 699, 544),
            41: (610, 343, 840, 536),
            55: (828, 320, 1110, 538),
            82: None,
            95: None,
            123: (825, 389, 1164, 560),
            164: (353, 346, 600, 556),
            205: (766, 264, 1011, 541),
            246: (516, 419, 904, 636),
            288: (504, 360, 707, 557),
        },
    ),
    "girl": Click(
        "bedroom.mp4",
        ((400, 230),),
        {
            0: (311, 0, 515, 397),
            28: (165, 59, 478, 450),
            56: (213, 57, 463, 466),
            85: (145, 103, 324, 526),
            113: (41, 0, 284, 439),
            142: (189, 48, 413, 528),
            170: (341, 121, 500, 503),
            199: (300, 56, 482, 371),
        },
    ),
    "person": Click(
        "one-by-one-person-detection.mp4",
        ((470, 240),),
        {
            80: (376, 18, 525, 394),
            125: (388, 15, 513, 394),
            171: (387, 16, 513, 392),
            182: (402, 16, 536, 394),
            188: (488, 39, 678, 390),
            204: None,
            216: None,
            262: None,
            353: None,
        },
        start=80,
    ),
    "table": Click(  # its top: the leg is another part
        "one-by-one-person-detection.mp4",
        ((450, 115),),
        {index: (385, 80, 523, 151) for index in (0, 20, 45, 200, 212, 227)},
    ),
}
