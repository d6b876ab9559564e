#!/bin/sh
# Slurm's TaskProlog: refuses a task while a stop stands against its job, or while that cannot be
# judged. The job ends with the exit code of `account may-start` (86: a stop stands) and its node stays
# in service; a job Prolog that failed would drain the node, so do not use one for this.
#
# In slurm.conf, for every job:  TaskProlog=/etc/slurm/task_prolog.sh
# For one step:                  srun --task-prolog=task_prolog.sh ...
set -u
[ -n "${ACCOUNT_AUTHORITY:-}" ] || [ -e /etc/account/account.toml ] || exit 0
# Authority and model are the job's ACCOUNT_AUTHORITY and ACCOUNT_MODEL, and what the node asks.
said=$(ACCOUNT_RUN="${ACCOUNT_RUN:-slurm-$SLURM_JOB_ID}" account may-start 2>&1)
code=$?
# Slurm takes what this prints as commands: "print" goes to the job's output.
[ $code = 0 ] || printf '%s\n' "$said" | sed 's/^/print /'
exit $code
