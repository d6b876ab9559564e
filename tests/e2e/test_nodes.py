"""Several nodes: each keeps a ledger of its own, all see the job's total while it runs."""

import harness

KNOWN_OPS = str(harness.JOBS / "known_ops.py")
STEPS, CALLS, SIZE = 120, 20, 64
A_RANK = STEPS * CALLS * 2 * SIZE**3


def test_two_nodes_see_the_total_of_all_four_ranks_and_verify_as_one_run(account, tmp_path):
    port = harness.free_port()

    def node(number: int) -> harness.Job:
        command = account.run_command(
            "--run", "r", "--node", "ab"[number], command=harness.torchrun(
                "--nnodes", 2, "--node-rank", number, "--nproc-per-node", 2,
                "--master-addr", "127.0.0.1", "--master-port", port,
                KNOWN_OPS, "--own", tmp_path / "own", "--steps", STEPS, "--calls", CALLS,
                "--size", SIZE, "--pause", 0.1))
        return harness.Job(command, tmp_path / f"log-{number}")

    def both_keepers_cover_four_ranks():
        covered = [run for run in account.live(tmp_path / "account")
                   if run["nodes_seen"] and not run["silent_ranks"]
                   and int(run["job_operations"]) > int(run["node_operations"]) > 0]
        return len(covered) == 2

    with node(0) as first, node(1) as second:
        harness.wait_until("both keepers to see all four ranks", both_keepers_cover_four_ranks)
        first.wait()
        second.wait()

    report = account.verify(tmp_path / "account/r")
    assert int(report["operations"]) == 4 * A_RANK
    assert int(report["operations"]) == sum(
        count.completed for count in harness.own_counts(tmp_path / "own"))
    assert (report["ranks"], report["steps"], len(report["nodes"])) == (4, STEPS, 2)
    assert report["ok"] and not report["problems"] and not report["gaps"]

    nodes = sorted((tmp_path / "account/r").glob("node-*"))
    assert [int(account.verify(path)["operations"]) for path in nodes] == [2 * A_RANK, 2 * A_RANK]
