"""Measures according to a plan: `propagation.run` starts this in namespaces of its own."""

import json
import sys

import propagation
from rpcbench.part import Failure

try:
    propagation.measure(json.loads(sys.argv[1]))
except Failure as failure:
    sys.exit(str(failure))
