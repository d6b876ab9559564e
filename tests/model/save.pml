/* What a stop saves, whom it lets wait, and who is ended after it.
 *
 * docs/stop_protocol.md explains it and names the functions; check.py runs it. It begins where
 * stop.pml ends: all have agreed on an edge and come to it, each in its own time. Two nodes of one
 * rank, one launcher over both, which ends what is left once a rank has left by a stop.
 *
 * Here time counts, and is a number. What a machine does at once (a keeper's turn, a rank's look at
 * its page) is done before the clock goes on; a step's end and a piece of a file take as long as
 * they like. The units keep the order of the real ones: BEGIN 10 s, QUIET the deadline, END 60 s,
 * STALL 900 s. A file that does not grow for STALL has stalled, by what the word means.
 *
 * What may go wrong, at any moment: a rank dies, hangs in its state or cannot write it; a keeper
 * dies and another comes (FAULTS); a second stop, of any grace, arrives (SECOND), or a lift (LIFT).
 *
 * Seeded mistakes, each of which spin must find (-D...):
 *   LEAVES_FIRST    a rank that has saved does not wait for the others
 *   SHORT_PATIENCE  it gives those up that have not begun after BEGIN, by the deadline or not
 *   STANDS_STILL    its word in the page does not move while it waits for the others
 *   FOR_EVER        it waits for a file that does not grow, however long
 *   ENDS_SAVERS     the keeper's minute begins when all are quiet, whoever saves
 *   NEVER_ENDS      the keeper leaves alone who caught its stop
 *   GOES_ON_SAVING  a rank does not look again whether it may save
 *   WAITS_ALL_THE_SAME  the keeper waits for one that saves what may not be saved any more
 *   COMMAND_FIRST   the command is in the page before the word that says who may save
 *   GATE_FORGOTTEN  a keeper that comes anew does not open a gate behind which nobody waits yet
 *   GATE_OPEN       ranks that wait for a lift may export
 *   LAST_WINS       of two stops the later one decides, also where it is the weaker
 *   LIFT_ENDS_A_STOP a lift takes back a stop that has ended ranks
 */

#define BEGIN 1
#define QUIET 2
#define END 2
#define STALL 3

#ifndef FIRST
#define FIRST SAVE
#endif
#ifndef PIECES
#define PIECES 2 /* of a state */
#endif

/* Stops, by what they let be done. */
#define SAVE 1
#define NONE 2
#define HOLD 4

mtype = {coming, at_edge, waiting, raised, writing, written, leaving, lingering, gone, finished};
mtype = {no_command, wait_at_edge, stop_at_edge};
mtype = {nothing, partial, whole, given_up};
mtype = {off, braking, quiet};

/* The tally pages. */
mtype command[2] = no_command;
bool shut[2];   /* the gate */
bool savers[2]; /* bits 1 to 31 of its word: somebody could open what is saved */
mtype life[2] = coming;
byte edge[2] = 1; /* that it is at or comes to */

/* The rank: what it has still to write, and since when it or what it waits for has not moved. */
byte left[2];
byte idle[2];
bool hangs[2];

/* <run>/locked, by rank. */
mtype file[2] = nothing;
byte file_edge[2];

/* Keepers: what they have read (it is in their ledgers), and their memory. */
byte seen[2];
bool seen_lift[2];
byte cause[2]; /* the stop that the page was told of */
bool to_command[2];
mtype phase[2] = off;
byte since[2]; /* the deadline's clock */
byte rest[2];  /* the last clock: since a rank has had nothing to do */
byte still[2]; /* since its word last moved */

/* The authority. */
byte directory = FIRST;
bool lifted;

/* Ghosts. */
bool killed;        /* a rank died by itself */
bool hung;
bool failed;        /* a state could not be written */
byte way[2];        /* how long a rank was on its way */
byte forbidden[2];  /* since when nothing may be saved any more */

#define ends(n) ((seen[n] & (SAVE | NONE)) != 0)
#ifdef LIFT_ENDS_A_STOP
#define stands(n) (!seen_lift[n])
#else
#define stands(n) (!seen_lift[n] || ends(n))
#endif
/* None goes before save, and that before hold. */
#ifdef LAST_WINS
#define strongest(n) \
  ((seen[n] & HOLD) != 0 -> HOLD : ((seen[n] & NONE) != 0 -> NONE : (seen[n] & SAVE)))
#else
#define strongest(n) \
  ((seen[n] & NONE) != 0 -> NONE : ((seen[n] & SAVE) != 0 -> SAVE : (seen[n] & HOLD)))
#endif
#define wanted(n) (stands(n) -> strongest(n) : 0)

#define alive(r) (life[r] != gone && life[r] != finished)
#define has_stopped(r) \
  (life[r] == raised || life[r] == writing || life[r] == written || life[r] == leaving || \
   life[r] == lingering)
#define is_quiet(r) (!alive(r) || has_stopped(r) || (life[r] == waiting && cause[r] == HOLD))
/* What a rank finds of the other, in the folder of its own edge. */
#define others(r) (file_edge[1 - (r)] == file_edge[r] -> file[1 - (r)] : nothing)

/* ---- what is due at once: the clock waits for it -------------------------------------------- */

#define may_read(n) ((directory & ~seen[n]) != 0 || (lifted && !seen_lift[n]))
#define may_apply(n) (wanted(n) != 0 && cause[n] != wanted(n) && !to_command[n])
/* A keeper that comes anew finds in the page what the one before it began. */
#ifdef GATE_FORGOTTEN
#define is_braked(n) (cause[n] != 0 || command[n] != no_command)
#else
#define is_braked(n) (cause[n] != 0 || command[n] != no_command || shut[n])
#endif
#define may_release(n) (wanted(n) == 0 && !to_command[n] && is_braked(n))
#define may_rest(n) (phase[n] == braking && !to_command[n] && is_quiet(n))
#define deadline(n) (phase[n] == braking && since[n] >= QUIET && life[n] == coming)
#ifdef NEVER_ENDS
#define minute_over(n) false
#else
#define minute_over(n) \
  (phase[n] == quiet && cause[n] != HOLD && has_stopped(n) && rest[n] >= END)
#endif

#define may_obey(r) \
  ((life[r] == at_edge && (command[r] != no_command || edge[r] == 2 || seen_lift[r])) || \
   (life[r] == waiting && command[r] != wait_at_edge))
/* The other may still come to its edge. */
#ifdef SHORT_PATIENCE
#define may_begin(r) false
#else
#define may_begin(r) (others(r) == nothing && since[r] < QUIET)
#endif
#ifdef LEAVES_FIRST
#define may_leave(r) (life[r] == written)
#else
#define gives_up_late(r) (idle[r] >= BEGIN)
#ifdef FOR_EVER
#define gives_up_still(r) (!savers[r] && idle[r] >= BEGIN)
#else
#define gives_up_still(r) (idle[r] >= (savers[r] -> STALL : BEGIN))
#endif
#define may_leave(r) \
  (life[r] == written && (others(r) == whole || others(r) == given_up || \
                          (others(r) == nothing && gives_up_late(r)) || \
                          (others(r) == partial && gives_up_still(r))))
#endif

#define keeper_due(n) \
  (may_read(n) || may_apply(n) || may_release(n) || to_command[n] || may_rest(n) || \
   deadline(n) || minute_over(n))
#define rank_due(r) \
  (may_obey(r) || life[r] == raised || life[r] == leaving || \
   (life[r] == writing && left[r] == 0) || may_leave(r))
#define due (keeper_due(0) || keeper_due(1) || rank_due(0) || rank_due(1))

/* ---- the rank: halt/edge.cc, run/saved_state.cc --------------------------------------------- */

inline go(r, where) {
  life[r] = where;
  idle[r] = 0
}

inline give_up(r) {
  file[r] = given_up;
  left[r] = 0;
  go(r, written);
  moved(r)
}

/* The others see that a file has grown, or has come. */
inline moved(r) {
  if
  :: life[1 - r] == written -> idle[1 - r] = 0
  :: else
  fi
}

proctype Rank(byte r) {
end:
  do
  :: d_step { /* halt::obey */
       may_obey(r) ->
       if
       :: command[r] == stop_at_edge -> go(r, raised)
       :: command[r] == wait_at_edge -> go(r, waiting)
       :: command[r] == no_command && edge[r] == 1 -> edge[r] = 2; go(r, coming)
       :: command[r] == no_command && edge[r] == 2 -> go(r, finished)
       fi
     }
  :: atomic { /* make_plan, for a state of whatever size */
       life[r] == raised ->
       assert(shut[r]);
       if
       :: savers[r] ->
          file[r] = partial;
          file_edge[r] = edge[r];
          if
          :: left[r] = PIECES
          :: left[r] = 0
          fi;
          go(r, writing);
          moved(r)
       :: else -> go(r, leaving)
       fi
     }
  :: d_step { /* write_state: the last piece is in, and the file gets its name */
       life[r] == writing && left[r] == 0 ->
#ifndef GOES_ON_SAVING
       if
       :: !savers[r] -> give_up(r)
       :: else ->
#endif
          assert(savers[r]);
          file[r] = whole;
          go(r, written);
          moved(r)
#ifndef GOES_ON_SAVING
       fi
#endif
     }
  :: d_step { /* wait_for_others */
       may_leave(r) -> go(r, leaving)
     }
  :: atomic { /* ShutdownOrdered is raised; somebody may catch it */
       life[r] == leaving ->
       if
       :: go(r, gone)
       :: go(r, lingering)
       fi
     }
  od
}

/* ---- the keeper: keeper/stop.cc, keeper/brake.cc -------------------------------------------- */

/* By force. Nobody is, whose state is on its way and may be. */
inline end_rank(r) {
  assert(!savers[r] || life[r] != writing || hangs[r]);
  assert(!savers[r] || life[r] != written || others(r) != partial || life[1 - r] != writing ||
         hangs[1 - r]);
  go(r, gone)
}

inline write_cause(n) {
  shut[n] = true;
  savers[n] = (cause[n] == SAVE);
#ifdef GATE_OPEN
  if
  :: cause[n] == HOLD -> shut[n] = false
  :: else
  fi
#endif
}

inline write_command(n) {
  command[n] = (cause[n] == HOLD -> wait_at_edge : stop_at_edge)
}

proctype Keeper(byte n) {
end:
  do
  :: d_step {
       may_read(n) ->
       seen[n] = directory;
       seen_lift[n] = lifted
     }
  :: d_step { /* Brake::apply; a wait that becomes a stop has a deadline of its own */
       may_apply(n) ->
       if
       :: phase[n] == off || cause[n] == HOLD -> since[n] = 0
       :: else
       fi;
       cause[n] = wanted(n);
#ifdef COMMAND_FIRST
       write_command(n);
#else
       write_cause(n);
#endif
       to_command[n] = true
     }
  :: d_step { /* Brake::command */
       to_command[n] ->
#ifdef COMMAND_FIRST
       write_cause(n);
#else
       write_command(n);
#endif
       phase[n] = braking;
       to_command[n] = false
     }
  :: d_step { /* Brake::release */
       may_release(n) ->
       assert(!has_stopped(n));
       shut[n] = false;
       savers[n] = false;
       command[n] = no_command;
       cause[n] = 0;
       phase[n] = off;
       since[n] = 0
     }
  :: d_step { may_rest(n) -> phase[n] = quiet; rest[n] = 0 }
  :: d_step { deadline(n) -> end_rank(n); } /* Brake::enforce */
  :: d_step { minute_over(n) -> end_rank(n) }           /* Brake::end_the_rest */
  od
}

/* ---- time ----------------------------------------------------------------------------------- */

inline later(what, most) {
  if
  :: what < most -> what++
  :: else
  fi
}

/* A unit of one rank's work. */
inline work(r) {
  if
  :: life[r] == coming && (edge[r] == 1 || (edge[1 - r] == 2 && life[1 - r] != gone)) ->
     if
     :: go(r, at_edge)
     :: phase[r] != off -> later(way[r], QUIET) /* till the deadline */
     fi
  :: life[r] == writing && !hangs[r] ->
     if
     :: idle[r] < STALL - 1 -> idle[r]++
     :: true ->
#ifndef GOES_ON_SAVING
        if
        :: !savers[r] -> give_up(r)
        :: else ->
#endif
           left[r]--;
           idle[r] = 0;
           moved(r)
#ifndef GOES_ON_SAVING
        fi
#endif
     fi
  :: else
  fi
}

/* Brake::resting_since. */
inline watch_word(n) {
  if
  :: phase[n] != quiet || (life[n] != writing && life[n] != written) -> still[n] = 0
  :: life[n] == writing && idle[n] == 0 && !hangs[n] -> still[n] = 0
#ifndef STANDS_STILL
  :: life[n] == written -> still[n] = 0
#endif
  :: else -> later(still[n], STALL)
  fi;
  if
#ifndef ENDS_SAVERS
#ifdef WAITS_ALL_THE_SAME
  :: (life[n] == writing || life[n] == written) && still[n] < STALL -> rest[n] = 0
#else
  :: (life[n] == writing || life[n] == written) && still[n] < STALL && savers[n] -> rest[n] = 0
#endif
#endif
  :: else ->
     if
     :: phase[n] == quiet -> later(rest[n], END)
     :: else
     fi
  fi
}

inline wait_on(r) {
  if
  :: life[r] == written && may_begin(r) -> idle[r] = 0
  :: life[r] == written && !may_begin(r) -> later(idle[r], STALL)
  :: else
  fi
}

inline pass(n) {
  work(n);
  watch_word(n);
  if
  :: phase[n] != off -> later(since[n], QUIET)
  :: else
  fi;
  /* What may not be saved any more is not, a minute later. */
  if
  :: (seen[n] & NONE) != 0 && (life[n] == writing || life[n] == written) ->
     later(forbidden[n], END + 2);
     assert(forbidden[n] <= END + 1)
  :: else -> forbidden[n] = 0
  fi;
  /* Whoever waits or has stopped exports nothing. */
  assert(shut[n] || !(has_stopped(n) || (life[n] == waiting && command[n] == wait_at_edge)))
}

proctype Time() {
end:
  do
  :: atomic {
       !due && (alive(0) || alive(1)) ->
       wait_on(0);
       wait_on(1);
       pass(0);
       pass(1)
     }
  od
}

/* ---- the world ------------------------------------------------------------------------------ */

proctype Launcher() {
end:
  do
  :: d_step { life[0] == gone && alive(1) -> go(1, gone) }
  :: d_step { life[1] == gone && alive(0) -> go(0, gone) }
  od
}

#if defined(SECOND) || defined(LIFT)
proctype Officer() {
#ifdef SECOND
  if
  :: directory = directory | SECOND
  :: skip
  fi;
#endif
#ifdef LIFT
  if
  :: lifted = true
  :: skip
  fi
#endif
}
#endif

#ifdef FAULTS
inline new_keeper(n) {
  cause[n] = 0;
  phase[n] = off;
  since[n] = 0;
  rest[n] = 0;
  still[n] = 0;
  to_command[n] = false;
  forbidden[n] = 0 /* its minute begins anew */
}

proctype Misfortune() {
  if
  :: d_step { alive(0) -> go(0, gone); killed = true }
  :: d_step { life[0] == writing -> hangs[0] = true; hung = true }
  :: d_step { life[0] == writing -> give_up(0); failed = true }
  :: d_step { cause[0] != 0 -> new_keeper(0) }
  :: d_step { cause[1] != 0 -> new_keeper(1) }
  :: skip
  fi
}
#endif

/* A rank came to its edge when the deadline was over, or never. */
#define late (way[0] == QUIET || way[1] == QUIET)

/* What is to be said once nobody lives. */
proctype Judge() {
end:
  d_step {
    !alive(0) && !alive(1) ->
    if
    :: (directory & (SAVE | NONE)) == SAVE && !lifted && !killed && !hung && !late ->
       assert(file[1] == whole && file_edge[0] == file_edge[1]);
       assert(failed || file[0] == whole)
    :: else
    fi
  }
}

init {
  atomic {
    run Rank(0);
    run Rank(1);
    run Keeper(0);
    run Keeper(1);
    run Time();
    run Launcher();
#if defined(SECOND) || defined(LIFT)
    run Officer();
#endif
#ifdef FAULTS
    run Misfortune();
#endif
    run Judge()
  }
}

/* Nothing more is owed: it waits and may, or it hangs without a stop, which is its launcher's. */
#define no_end ((directory & (SAVE | NONE)) == 0)
#define over(r) \
  (!alive(r) || \
   (no_end && ((life[r] == waiting && !lifted) || (life[r] == coming && life[1 - (r)] == gone))))
ltl all_end { <> [] (over(0) && over(1)) }
#define free(r) (life[r] == finished && !shut[r])
ltl loses_nothing { <> [] (!lifted || late || killed || (free(0) && free(1))) }

/* Each of these must be refuted: the model really does what it is there to do. */
ltl never_saves { [] !(file[0] == whole && file[1] == whole) }
ltl never_interrupted { [] !((directory & NONE) != 0 && file[0] == given_up) }
ltl never_ends { [] !(life[0] == lingering && rest[0] == END) }
ltl never_waits { [] !(life[0] == waiting && life[1] == waiting) }
