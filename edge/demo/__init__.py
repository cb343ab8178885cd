"""The bundled scene: sound spoken by flite and pictures drawn by code, made by ``python -m tools.make_demo``."""
