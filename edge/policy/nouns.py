"""The names that people and detectors have for things.

A detector knows eighty words; a wearer has many for the same thing ("sofa" for its "couch"), one for several of its things
("glass", "animal"), and puts others around them ("my blue water bottle over there"). The thing itself is the last noun.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_KINDS: Mapping[str, str] = {
    "people": "person",
    "man": "person",
    "men": "person",
    "woman": "person",
    "women": "person",
    "child": "person",
    "children": "person",
    "kid": "person",
    "boy": "person",
    "girl": "person",
    "somebody": "person",
    "someone": "person",
    "anybody": "person",
    "anyone": "person",
    "bike": "bicycle",
    "cycle": "bicycle",
    "motorbike": "motorcycle",
    "plane": "airplane",
    "aeroplane": "airplane",
    "lorry": "truck",
    "van": "truck, car",
    "taxi": "car",
    "ship": "boat",
    "vehicle": "car, truck, bus, motorcycle",
    "hydrant": "fire hydrant",
    "puppy": "dog",
    "kitten": "cat",
    "kitty": "cat",
    "animal": "dog, cat, bird, horse, sheep, cow, elephant, bear, zebra, giraffe",
    "pet": "dog, cat",
    "bag": "handbag, backpack, suitcase",
    "purse": "handbag",
    "rucksack": "backpack",
    "luggage": "suitcase, backpack, handbag",
    "necktie": "tie",
    "ball": "sports ball",
    "football": "sports ball",
    "racket": "tennis racket",
    "bat": "baseball bat",
    "glass": "cup, wine glass",
    "glasses": "cup, wine glass",
    "mug": "cup",
    "drink": "cup, bottle, wine glass",
    "coffee": "cup",
    "tea": "cup",
    "doughnut": "donut",
    "fruit": "apple, orange, banana",
    "food": "pizza, sandwich, cake, donut, hot dog, apple, orange, banana, broccoli, carrot",
    "seat": "chair, bench, couch",
    "stool": "chair",
    "armchair": "chair, couch",
    "sofa": "couch",
    "settee": "couch",
    "plant": "potted plant",
    "flower": "potted plant, vase",
    "table": "dining table",
    "desk": "dining table",
    "television": "tv",
    "telly": "tv",
    "monitor": "tv",
    "computer": "laptop, tv",
    "notebook": "laptop, book",
    "phone": "cell phone",
    "telephone": "cell phone",
    "cellphone": "cell phone",
    "mobile": "cell phone",
    "smartphone": "cell phone",
    "fridge": "refrigerator",
    "watch": "clock",
    "teddy": "teddy bear",
    "hairdryer": "hair drier",
    "hair dryer": "hair drier",
    "remote control": "remote",
    "traffic lights": "traffic light",
}
"""What people say, and the detector's names that may be meant by it."""
_SPOKEN = {"tv": "television", "cell phone": "phone", "sports ball": "ball", "potted plant": "plant", "dining table": "table"}
"""How the assistant says a detector's name, where that is not how people call it."""
_PLURALS = {"people": "people", "mice": "mouse", "knives": "knife", "couches": "couch", "benches": "bench", "buses": "bus"}
_SINGULAR = frozenset({"bus", "scissors", "skis", "lens", "traffic lights"})
_AROUND = re.compile(
    r"^(?:(?:please|the|a|an|my|your|our|his|her|their|this|that|these|those|some|any|me|one|of) )+"
    r"|(?: (?:here|there|please|again|now|anywhere|somewhere|around|nearby|over|in front of me|in the (?:room|picture|view)))+$"
)
_AFTER = re.compile(r" (?:of|with|from|on|in|at|near|next|beside|behind|under|for|to|that|which|over)\b.*$")


def kinds(words: str, names: Sequence[str]) -> tuple[str, ...]:
    """Gives those of a detector's ``names`` that are meant by some words; empty where it has no name for the thing."""
    core = bare(words)
    parts = core.split()
    for at in range(len(parts)):  # "cell phone" before "phone": the longest name that ends the words
        said = " ".join(parts[at:])
        for one in (said, _one(said)):
            meant = [one, *_KINDS.get(one, "").split(", ")]
            if found := tuple(name for name in dict.fromkeys(meant) if name in names):
                return found
    return ()


def bare(words: str) -> str:
    """Gives what is named, without what people put around it: "my blue bottle over there" is "blue bottle"."""
    before, core = None, words
    while core != before:
        before, core = core, _AROUND.sub("", core)
    return _AFTER.sub("", core)


def spoken(label: str) -> str:
    """Gives a detector's name as people say it."""
    return _SPOKEN.get(label, label)


def listed(items: Iterable[str]) -> str:
    """Gives "a cup, a bottle and a person"."""
    *before, last = items
    return f"{', '.join(before)} and {last}" if before else last


def _one(words: str) -> str:
    """The singular of the last word."""
    *before, last = words.split()
    if words in _SINGULAR or last in _SINGULAR:
        return words
    if last in _PLURALS:
        last = _PLURALS[last]
    elif last.endswith(("ches", "shes", "xes", "sses")):
        last = last[:-2]
    elif last.endswith("ies") and len(last) > 4:
        last = f"{last[:-3]}y"
    elif last.endswith("s") and not last.endswith("ss"):
        last = last[:-1]
    return " ".join([*before, last])
