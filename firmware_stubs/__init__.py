"""The glasses' side of Bluetooth: run from the checkout, never shipped."""
