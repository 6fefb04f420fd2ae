"""Which rank a process is, as torchrun's or Slurm's variables say."""

from asr.training.launch import Launch, find_launch

SLURM = {
    "SLURM_JOB_ID": "4242",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "7",
    "SLURM_STEP_NODELIST": "gpu[03-05,09],cpu1",
    "SLURM_STEP_TASKS_PER_NODE": "2(x3),1",
    "SLURM_PROCID": "6",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "3",
}


def test_a_process_that_nobody_started_is_alone() -> None:
    assert find_launch({}) == Launch(rank=0, size=1)


def test_torchrun_wins_over_slurm() -> None:
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    place = {"MASTER_ADDR": "node", "MASTER_PORT": "7"}
    assert find_launch(SLURM | torchrun | place) == Launch(3, 4, 1, 2, "node", 7, "torchrun")


def test_the_step_of_slurm_says_which_rank_this_is() -> None:
    launch = find_launch(SLURM)
    assert (launch.rank, launch.size, launch.local_rank, launch.local_size) == (6, 7, 0, 1)
    assert (launch.address, launch.launcher) == ("gpu03", "srun")
    assert find_launch(SLURM | {"SLURM_NODEID": "2"}).local_size == 2
    assert find_launch(SLURM | {"SLURM_STEP_NODELIST": "rack[1-2]node[05,07]x"}).address == "rack1node05x"
    assert find_launch(SLURM | {"SLURM_STEP_NODELIST": "n1,n2"}).address == "n1"


def test_all_ranks_of_a_job_find_one_port_and_its_restart_another() -> None:
    ports = {find_launch(SLURM | {"SLURM_PROCID": str(rank)}).port for rank in range(7)}
    assert len(ports) == 1
    assert find_launch(SLURM | {"SLURM_RESTART_COUNT": "1"}).port not in ports
    assert find_launch(SLURM | {"MASTER_PORT": "1234"}).port == 1234


def test_a_batch_script_or_a_shell_of_an_allocation_is_alone() -> None:
    in_allocation = {"SLURM_JOB_ID": "4242", "SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    assert find_launch(in_allocation).size == 1
