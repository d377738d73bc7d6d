"""How `make test` shares the tests out to processes: whole groups, in their order, whoever dies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# A file is a group, but for these: what begins first, since it takes longest, and what stays together, since it shares
# a server, a browser's page or an evaluation.
FIRST = (
    "test_notebooks", "test_training", "test_kills", "test_studio_browser", "test_training_processes",
    "test_evaluation_run", "test_training_milestones",
)
TOGETHER = {
    "test_adversity": "test_kills", "test_studio_looks": "test_studio_browser",
    "test_evaluation_report": "test_evaluation_run", "test_cli_evaluate": "test_evaluation_run",
}


def group(test: str) -> str:
    """Tests of one group run in one process: those of a file, or a chapter. test: "tests/test_masks.py::test_..."."""
    path, _, name = test.partition("::")
    file = Path(path).stem
    chapter = re.search(r"\[(\d\d_\w+)\]$", name)
    return f"{file} {chapter[1]}" if file == "test_notebooks" and chapter else TOGETHER.get(file, file)


class Groups(LoadScopeScheduling):
    """A process that dies fails the test that it was at, and the others go on with what it had left.

    xdist 3.8 gives them that test again, and groups of which nothing is left, and then waits for what never comes.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)

    def remove_node(self, node: WorkerController) -> str | None:
        """The test that a process died of, if it did."""
        given = self.assigned_work.pop(node)
        crashed = next((test for tests in given.values() for test, done in tests.items() if not done), None)
        for name, tests in given.items():
            if left := {test: done for test, done in tests.items() if not done and test != crashed}:
                self.workqueue[name] = left
        for other in self.nodes if crashed else []:
            self._reschedule(other)
        return crashed

    def _reschedule(self, node: WorkerController) -> None:
        """Give a process more until it can go on: it begins a test when it knows the next, or that there is none."""
        while (
            node in self.registered_collections and not node.shutting_down
            and self._pending_of(self.assigned_work[node]) <= 2
        ):
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups:
    return Groups(config, log)
