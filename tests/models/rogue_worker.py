"""A worker that misbehaves on request, for the tests of ``models.worker``."""

import os
import signal
import sys
import time

from models.pipe import Parent


def main() -> None:
    parent = Parent()
    print("a library prints this")  # must reach the log, not the frames
    parent.send({"op": "hello", "pid": os.getpid()})
    while (request := parent.receive()) is not None:
        match request.header["op"]:
            case "echo":
                parent.send({"op": "item", "text": request.header["text"]}, request.body)
            case "count":
                for number in range(request.header["until"]):
                    if parent.cancelled():
                        break
                    parent.send({"op": "item", "number": number}, bytes(1000))
            case "fail":
                parent.send({"op": "error", "text": "no such thing"})
                continue
            case "crash":
                parent.send({"op": "item"})
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                parent.send({"op": "item"})
                time.sleep(60)
            case "babble":
                os.write(parent._out, b"\xff" * 100)
        parent.send({"op": "end"})
    print("ends in order", file=sys.stderr)


main()
