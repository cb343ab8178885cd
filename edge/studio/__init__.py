"""The simulator's desk: what a developer watches and moves while sessions run.

``Studio`` is the hub: sessions tell it their events, dashboards read rows from it and give it commands. It knows nothing of
HTTP; the server in ``phone_bridge`` sees it through the ``Desk`` that it fits.
"""

from edge.studio.hub import House, Studio

__all__ = ["House", "Studio"]
