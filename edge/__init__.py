"""The runtime of nearsight: contract, policy, runtime, skills and command line, imports going down only."""

__version__ = "0.1.0"
