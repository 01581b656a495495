"""A worker process: takes runs from its driver, says how each ends, and dies with its driver.

The driver sends (task, run) pairs, or None to stop.
"""

import _thread
import os
import pickle
import signal
import sys
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue

from twincode.memory import keep_freed_memory


def serve(line: Connection) -> None:
    """Carry out one run after another until told to stop."""
    # Whoever started the driver may have had Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    orders: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(line, orders), daemon=True).start()
    try:
        while (order := pickle.loads(orders.get())) is not None:
            task, run = order
            line.send_bytes(pickle.dumps(task(run)))
    except KeyboardInterrupt:
        return  # the epoch is saved


def _receive(line: Connection, orders: "SimpleQueue[bytes]") -> None:
    """Hand orders on as they come. Without a driver there is nobody to work for."""
    while True:
        try:
            order = line.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)
        orders.put(order)
        if order == pickle.dumps(None):
            # As if Ctrl-C had been pressed here: training finishes its epoch, all else stops.
            _thread.interrupt_main()


if __name__ == "__main__":
    keep_freed_memory()
    serve(Connection(int(sys.argv[1])))
