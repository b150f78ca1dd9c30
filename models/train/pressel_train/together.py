"""Several processes that train one network: each makes batches of its own, all share gradients.

In: the parameters of every process, and a number that the first process knows. Out: the mean of
the gradients and that number, in all of them. One thread each: on a busy computer the threads of
one process wait for each other hundreds of times a step, these processes once.
"""

import datetime
import multiprocessing
import tempfile
from pathlib import Path

import torch
from torch import distributed

_PATIENCE = datetime.timedelta(hours=6)


def start(count, work):
    """Runs `work(group)` in `count` processes; returns what the first one returns."""
    torch.set_num_threads(1)
    if count == 1:
        return work(Group(0, 1))
    with tempfile.TemporaryDirectory() as folder:
        meeting = "file://" + str(Path(folder) / "meeting")
        context = multiprocessing.get_context("fork")
        others = [
            context.Process(target=_join_quietly, args=(rank, count, meeting, work))
            for rank in range(1, count)
        ]
        for other in others:
            other.start()
        try:
            return _join(0, count, meeting, work)
        finally:
            for other in others:
                other.join(10)
                if other.is_alive():
                    other.terminate()


def _join_quietly(rank, count, meeting, work):
    """Ctrl+C reaches all processes; the first one tells of it."""
    try:
        _join(rank, count, meeting, work)
    except KeyboardInterrupt:
        pass


def _join(rank, count, meeting, work):
    distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=count, timeout=_PATIENCE
    )
    done = work(Group(rank, count))
    distributed.destroy_process_group()
    return done


class Group:
    """One of the processes."""

    def __init__(self, rank, count):
        self.rank, self.count = rank, count

    @property
    def first(self):
        return self.rank == 0

    @torch.no_grad()
    def share(self, parameters, number):
        """Averages the gradients over all processes; returns the `number` of the first."""
        if self.count == 1:
            return number
        gradients = [p.grad for p in parameters if p.grad is not None]
        known = torch.tensor([number * self.count if self.first else 0.0])
        flat = torch.cat([*(g.flatten() for g in gradients), known])
        distributed.all_reduce(flat)
        flat /= self.count
        at = 0
        for gradient in gradients:
            gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()
        return float(flat[-1])
