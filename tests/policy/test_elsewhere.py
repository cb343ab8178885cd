"""What is said of engines on other machines."""

from __future__ import annotations

import pytest

from edge.policy.elsewhere import abroad, leaves, sentence


@pytest.mark.parametrize(
    "server", ["127.0.0.1:8080", "localhost:1", "[::1]:10300", "127.3.2.1:80", "::1:80", "unix:/run/wyoming.sock"]
)
def test_a_server_on_this_machine_gets_nothing_that_leaves_it(server: str) -> None:
    assert not leaves(server)


@pytest.mark.parametrize(
    "server", ["192.168.1.7:8080", "[fe80::1]:80", "attic.lan:10300", "10.0.0.1:1", "localhost.example:80"]
)
def test_every_other_server_does(server: str) -> None:
    assert leaves(server)


def test_what_is_elsewhere_is_said_at_the_start_and_when_it_changes() -> None:
    both = abroad({"recogniser": "attic:1", "language_model": "attic:2", "voice": "127.0.0.1:3"})
    assert both == {"recogniser", "language_model"}
    assert sentence((), both, first=True) == "Speech recognition and answering are done on another computer."
    assert sentence((), {"vision_language"}, first=True) == "Looking at pictures is done on another computer."
    lost = sentence(both, {"language_model"}, first=False)
    assert lost == "I cannot reach the other computer. From now on speech recognition is done here."
    assert sentence({"language_model"}, both, first=False) == "Speech recognition is done on another computer again."
    assert sentence((), {"recogniser", "voice", "wake"}, first=True) == (
        "Listening for the wake word, speech recognition and my voice are done on another computer."
    )


def test_nothing_is_said_where_nothing_is_or_changes() -> None:
    assert sentence((), (), first=True) == sentence({"voice"}, {"voice"}, first=False) == ""
