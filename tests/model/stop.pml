/* How a job stops and stays stopped: agreement on the edge, and what stands over a restart.
 *
 * docs/stop_protocol.md explains this model and names, for each step here, the function that does
 * it. check.py runs it. It must know nothing of signatures: an order here is one that verified.
 *
 * The job: NODES nodes with RANKS_PER_NODE ranks each. A rank closes a step only when all ranks
 * have begun it (the collective), so a rank that stops early hangs the others. One keeper a node.
 * Traces of an order: the authority's directory, the tally page, the node's ledger.
 *
 * What may go wrong: votes lost (which is what a dead store looks like; a late vote is one that is
 * looked at late), the two seconds running out at any moment, one rank killed, keepers killed,
 * counters that are unequal, one durable trace lost, tally pages lost with a reboot, two stops at
 * once, a lift at any time. All of a keeper's knowledge but `posted` lies in tally and ledger, so
 * that its death is seen only between its vote and its decision.
 *
 * Time has two grains. The two seconds a keeper waits for votes may be over at any moment. The
 * quiet deadline is long: it comes only when nothing else can move (`timeout`).
 *
 * Seeded mistakes, each of which spin must find (-D...):
 *   EQUAL_ONLY        a rank compares the stop edge with == instead of >=
 *   FAILS_OPEN        votes missing after two seconds: the keeper lets its ranks go on
 *   ACK_BEFORE_LATCH  the acknowledgement does not wait for the durable latch
 *   LIFT_CLEARS_ALL   a lift lifts every stop, not those it names
 *   READS_FIRST       a rank reads its command before it publishes its next edge
 *   OWN_VOTE          a keeper stops its ranks at its own vote instead of the highest
 *   VOTE_FORGOTTEN    a keeper that comes back votes anew instead of repeating its vote
 *   LIFT_STOPS_A_STOP a lift takes effect on a job that runs, instead of at its next start
 */

#ifndef NODES
#define NODES 2
#endif
#ifndef RANKS_PER_NODE
#define RANKS_PER_NODE 2
#endif
#ifndef STARTS
#define STARTS 1 /* how often the job is started */
#endif
#ifndef ORDERS
#define ORDERS 1 /* stops that an officer may issue: bits 0, 1 */
#endif
#ifndef LAST_STEP
#define LAST_STEP 3 /* the job ends by itself after this step */
#endif
#ifndef RANK_DEATHS
#define RANK_DEATHS 1 /* of rank 0 */
#endif
#ifndef KEEPER_DEATHS
#define KEEPER_DEATHS 1
#endif

#define RANKS (NODES * RANKS_PER_NODE)
#define node_of(r) ((r) / RANKS_PER_NODE)
#define first_rank(n) ((n) * RANKS_PER_NODE)

mtype = {asking, refused, running, stopped, dead, finished}; /* a rank's life */
mtype = {in_step, at_edge, told_to_hold, held, publishing};  /* where a running rank is */
mtype = {none, hold, stop_at_edge};                          /* the command in the tally */

#define NO_VOTE 0
#define APART 15 /* the vote of a node that cannot come up to a common edge */
#define NOW 0    /* STOP_NOW is the stop edge that every rank has reached: hence >= */

/* The tally pages. The keeper writes command, stop_edge and order; a rank the rest. */
mtype command[NODES] = none;
byte stop_edge[NODES]; /* under `hold`: this node's vote, where a keeper that comes back finds it */
byte tally_orders[NODES];
mtype life[RANKS] = asking;
mtype place[RANKS] = in_step;
byte begun[RANKS]; /* the step it is in; 0 before the first */
byte closed[RANKS];
byte next_edge[RANKS];

/* What survives processes. */
byte directory; /* stops in the authority's directory */
byte lifts;     /* stops that lifts in the directory name */
byte ledger[NODES];
byte settled[NODES]; /* in the ledger: lifted when this start was permitted */

/* The store between keepers: new with each start. A vote carries the orders it is about. */
byte store_vote[NODES];
byte store_orders[NODES];

/* What keepers know besides; lost with the process. */
bool posted[NODES];

/* Ghosts: only the properties read them. */
byte issued;
byte acknowledged[NODES];
byte acknowledged_before; /* by any node, when this start began */
byte ceiling[NODES];      /* no rank of the node may begin a later step; 0: no limit yet */
byte agreed_edge;
byte nodes_agreed;
bool directory_lost;
bool durable_lost; /* one of the durable traces is gone; the other stays */
byte rank_deaths_here;

byte starts = 1;
byte keeper_deaths;

/* What a running job obeys: stops that were not lifted when it started, and whatever a peer that
 * stops has obeyed, so that both ends of a start that straddles a lift stop together. */
#define peer_orders(n) (store_orders[1 - (n)])
#ifdef LIFT_STOPS_A_STOP
#define obeyed(n) ((directory & ~settled[n] & ~lifts) | peer_orders(n))
#else
#define obeyed(n) ((directory & ~settled[n]) | peer_orders(n))
#endif
#ifdef LIFT_CLEARS_ALL
#define lifted(orders) (lifts -> (orders) : 0)
#else
#define lifted(orders) ((orders) & lifts)
#endif
#ifdef EQUAL_ONLY
#define reached(r) (closed[r] == stop_edge[node_of(r)])
#else
#define reached(r) (closed[r] >= stop_edge[node_of(r)])
#endif

#define alive(r) (life[r] == running || life[r] == asking)
#if RANKS_PER_NODE == 2
#define any_on(n, what) (what(first_rank(n)) || what(first_rank(n) + 1))
#define joined(s) (begun[0] >= s && begun[1] >= s && begun[2] >= s && begun[3] >= s)
#define nobody_alive (!alive(0) && !alive(1) && !alive(2) && !alive(3))
#define somebody_gone (!alive(0) || !alive(1) || !alive(2) || !alive(3))
#else
#define any_on(n, what) (what(first_rank(n)))
#define joined(s) (begun[0] >= s && begun[1] >= s)
#define nobody_alive (!alive(0) && !alive(1))
#define somebody_gone (!alive(0) || !alive(1))
#endif
#define is_asking(r) (life[r] == asking)
#define is_gone(r) (life[r] == dead || life[r] == refused)

/* ---- the rank ------------------------------------------------------------------------------- */

/* A rank's end. What nobody reads of it any more is cleared, so that equal states are one. */
inline leave(r, how) {
  life[r] = how;
  place[r] = in_step;
  closed[r] = 0;
  if
  :: life[r] != finished -> next_edge[r] = 0
  :: else
  fi
}

inline begin_step(r) {
  begun[r] = closed[r] + 1;
  place[r] = in_step;
  /* No rank passes the agreed edge; none passes its node's vote before there is one. */
  assert(agreed_edge == 0 || begun[r] <= agreed_edge);
  assert(ceiling[node_of(r)] == 0 || begun[r] <= ceiling[node_of(r)]);
}

inline go_on(r) {
  if
  :: closed[r] == LAST_STEP -> leave(r, finished)
  :: else -> begin_step(r)
  fi
}

/* What a rank does at an edge with a command that is not hold. */
inline obey_command(r) {
  if
  :: command[node_of(r)] == none -> go_on(r)
  :: command[node_of(r)] == stop_at_edge && reached(r) ->
     /* Where all agreed, all raise at the same edge. */
     assert(nodes_agreed < NODES || closed[r] == agreed_edge);
     leave(r, stopped)
  :: command[node_of(r)] == stop_at_edge && !reached(r) ->
     next_edge[r] = closed[r] + 1;
     go_on(r)
  fi
}

proctype Rank(byte r) {
end:
  do
  :: d_step {
       life[r] == running && place[r] == in_step && joined(begun[r]) ->
       /* Nothing is trained in a start under a stop that was acknowledged before it. */
       assert((acknowledged_before & ~lifts) == 0);
       closed[r] = begun[r];
#ifndef READS_FIRST
       next_edge[r] = closed[r] + 1;
#endif
       place[r] = at_edge
     }
  :: d_step {
       life[r] == running && place[r] == at_edge && command[node_of(r)] != hold ->
       obey_command(r);
#ifdef READS_FIRST
       if
       :: life[r] == running -> place[r] = publishing
       :: else
       fi
#endif
     }
  :: d_step {
       life[r] == running && place[r] == at_edge && command[node_of(r)] == hold ->
       place[r] = told_to_hold
     }
  :: d_step {
       life[r] == running && place[r] == told_to_hold ->
       next_edge[r] = closed[r];
       place[r] = held
     }
  :: d_step {
       life[r] == running && place[r] == held && command[node_of(r)] != hold -> obey_command(r)
     }
#ifdef READS_FIRST
  :: d_step {
       life[r] == running && place[r] == publishing ->
       next_edge[r] = closed[r] + 1;
       place[r] = in_step
     }
#endif
  od
}

/* ---- the keeper ----------------------------------------------------------------------------- */

inline raise_vote(n, r) {
  if
  :: is_gone(r) || is_asking(r) -> vote = APART
  :: else ->
     if
     :: next_edge[r] > vote -> vote = next_edge[r]
     :: else
     fi
  fi
}

/* The decision, from all votes. */
inline decide(n) {
  if
  :: stop_edge[n] == APART || store_vote[1 - n] == APART -> stop_edge[n] = NOW
  :: else ->
#ifdef OWN_VOTE
     skip;
#else
     stop_edge[n] = (store_vote[1 - n] > stop_edge[n] -> store_vote[1 - n] : stop_edge[n]);
#endif
     assert(agreed_edge == 0 || agreed_edge == stop_edge[n]);
     agreed_edge = stop_edge[n];
     ceiling[n] = agreed_edge;
     nodes_agreed++;
     /* Nobody is already past it. */
     assert(begun[0] <= agreed_edge && begun[1] <= agreed_edge);
#if RANKS_PER_NODE == 2
     assert(begun[2] <= agreed_edge && begun[3] <= agreed_edge);
#endif
  fi;
  command[n] = stop_at_edge
}

inline end_if_alive(r) {
  if
  :: alive(r) -> leave(r, dead)
  :: else
  fi
}

proctype Keeper(byte n) {
  byte vote;
end:
  do
  :: d_step { /* A rank asks to start: standing = traces less what lifts in hand name. */
       any_on(n, is_asking) ->
       vote = directory | ledger[n] | tally_orders[n];
       if
       :: (vote & ~lifted(vote)) != 0 ->
          life[first_rank(n)] = refused;
#if RANKS_PER_NODE == 2
          life[first_rank(n) + 1] = refused;
#endif
       :: else ->
          /* A lift never lifts what it does not name, and no trace is too few. */
          assert((acknowledged[n] & ~lifts) == 0);
          settled[n] = vote;
          life[first_rank(n)] = running;
          begun[first_rank(n)] = 1;
#if RANKS_PER_NODE == 2
          life[first_rank(n) + 1] = running;
          begun[first_rank(n) + 1] = 1;
#endif
       fi;
       vote = 0
     }

  :: d_step { /* A stop that verified: gate shut, HOLD, and its hash in the page, at once. */
       (obeyed(n) & ~tally_orders[n]) != 0 && !any_on(n, is_asking) ->
       tally_orders[n] = tally_orders[n] | obeyed(n);
       if
       :: command[n] == none && any_on(n, alive) -> command[n] = hold; stop_edge[n] = NO_VOTE
       :: else /* a further stop, or nobody to hold: latched and acknowledged like the first */
       fi;
#if STARTS == 1 /* what is durable matters to the next start only */
       ledger[n] = tally_orders[n];
       acknowledged[n] = tally_orders[n]
#endif
     }
#ifdef ACK_BEFORE_LATCH
  :: d_step {
       (tally_orders[n] & ~acknowledged[n]) != 0 ->
       acknowledged[n] = acknowledged[n] | tally_orders[n]
     }
  :: d_step {
       (acknowledged[n] & ~ledger[n]) != 0 -> ledger[n] = ledger[n] | acknowledged[n]
     }
#else
  :: d_step { /* The durable latch, and only then the acknowledgement. */
       (tally_orders[n] & ~ledger[n]) != 0 ->
       ledger[n] = ledger[n] | tally_orders[n];
       acknowledged[n] = acknowledged[n] | ledger[n]
     }
#endif

  :: /* The vote: the highest next edge of this node's ranks, read one by one after HOLD is set. */
     d_step {
       command[n] == hold && stop_edge[n] == NO_VOTE && !nobody_alive ->
       raise_vote(n, first_rank(n))
     };
     atomic {
#if RANKS_PER_NODE == 2
       raise_vote(n, first_rank(n) + 1);
#endif
       if
       :: skip
#ifndef ALWAYS_EQUAL
       :: vote = APART /* counters were unequal at the last seal */
#endif
       fi;
       if
       :: command[n] == hold && stop_edge[n] == NO_VOTE ->
          stop_edge[n] = vote;
          if
          :: vote != APART && ceiling[n] == 0 -> ceiling[n] = vote
          :: else
          fi
       :: else /* the ranks it read have gone, and new ones have come */
       fi;
       vote = 0
     }
  :: atomic {
       command[n] == hold && stop_edge[n] != NO_VOTE && !posted[n] && !nobody_alive ->
       posted[n] = true;
       if
       :: d_step { store_vote[n] = stop_edge[n]; store_orders[n] = tally_orders[n] }
       :: skip /* lost */
       fi
     }
  :: d_step {
       command[n] == hold && posted[n] && store_vote[1 - n] != NO_VOTE && !nobody_alive ->
       decide(n)
     }
  :: d_step { /* two seconds are over and a keeper is silent */
       command[n] == hold && posted[n] && !nobody_alive ->
#ifdef FAILS_OPEN
       command[n] = none
#else
       stop_edge[n] = NOW;
       command[n] = stop_at_edge
#endif
     }

  :: atomic { /* The quiet deadline: what is left is ended. */
       timeout && command[n] == stop_at_edge && any_on(n, alive) ->
       /* A stop that all agreed on, and that nobody died in, needs no force. */
       assert(nodes_agreed < NODES || rank_deaths_here > 0);
       end_if_alive(first_rank(n));
#if RANKS_PER_NODE == 2
       end_if_alive(first_rank(n) + 1);
#endif
     }

  :: d_step { /* It dies, and a rank's library thread brings up another. */
       keeper_deaths < KEEPER_DEATHS && posted[n] && command[n] == hold && !nobody_alive ->
       keeper_deaths++;
#ifdef VOTE_FORGOTTEN
       stop_edge[n] = NO_VOTE;
#endif
       posted[n] = false
     }
  od
}

/* ---- the world ------------------------------------------------------------------------------ */

proctype Officer() {
  d_step { directory = directory | 1; issued = issued | 1 };
#if ORDERS == 2
  if
  :: d_step { directory = directory | 2; issued = issued | 2 }
  :: skip
  fi;
#endif
#if STARTS > 1
  if
  :: lifts = 1 /* names the first order, whatever else stands */
  :: skip
  fi
#endif
}

/* What the machines do to the job: each misfortune comes at any one moment, or never. */
proctype RankDeath() {
  if
  :: d_step {
       life[0] == running ->
       rank_deaths_here++;
       leave(0, dead)
     }
  :: skip
  fi
}

proctype LostDirectory() {
  if
  :: d_step {
       !durable_lost && directory != 0 ->
       durable_lost = true;
       directory_lost = true;
       directory = 0
     }
  :: skip
  fi
}

inline new_page(r) {
  life[r] = asking;
  place[r] = in_step;
  begun[r] = 0;
  closed[r] = 0;
  next_edge[r] = 1
}

inline new_node(n) {
  command[n] = none;
  stop_edge[n] = 0;
  store_vote[n] = NO_VOTE;
  store_orders[n] = 0;
  posted[n] = false;
  ceiling[n] = 0;
  if
  :: tally_orders[n] = 0 /* a reboot, or swept */
  :: skip
  fi;
  if
  :: !durable_lost && ledger[n] != 0 -> durable_lost = true; ledger[n] = 0
  :: skip
  fi
}

/* torchrun and the scheduler: they end what hangs because a peer is gone, and start again. They do
 * not help a keeper that is stopping its ranks: that must work without them. */
inline tear_down(n) {
  timeout && somebody_gone && any_on(n, alive) && command[n] == none &&
    (command[1 - n] == none || life[first_rank(1 - n)] == refused || directory_lost ||
     (settled[n] & tally_orders[1 - n]) != 0) ->
  end_if_alive(first_rank(n));
  end_if_alive(first_rank(n) + RANKS_PER_NODE - 1)
}

proctype Launcher() {
end:
  do
  :: atomic { tear_down(0) }
  :: atomic { tear_down(1) }
  :: atomic {
       nobody_alive && starts < STARTS ->
       starts++;
       new_node(0);
       new_node(1);
       agreed_edge = 0;
       nodes_agreed = 0;
       rank_deaths_here = 0;
       acknowledged_before = acknowledged[0] | acknowledged[1];
       new_page(0);
       new_page(1);
#if RANKS_PER_NODE == 2
       new_page(2);
       new_page(3);
#endif
     }
  od
}

init {
  atomic {
    next_edge[0] = 1;
    next_edge[1] = 1;
#if RANKS_PER_NODE == 2
    next_edge[2] = 1;
    next_edge[3] = 1;
    run Rank(2);
    run Rank(3);
#endif
    run Rank(0);
    run Rank(1);
    run Keeper(0);
    run Keeper(1);
    run Officer();
#if RANK_DEATHS > 0
    run RankDeath();
#endif
#if STARTS > 1
    run LostDirectory();
#endif
    run Launcher()
  }
}

/* Every stop ends in all ranks quiet, and is latched on every node (a start that a lift permitted
 * has settled it). Where an order was deleted before a node saw it, nothing is owed there. */
#define kept(n) ((issued & ~(ledger[n] | settled[n])) == 0)
ltl every_stop_ends { [] ((issued != 0) -> <> (directory_lost || nobody_alive)) }
ltl every_stop_is_latched { [] ((issued != 0) -> <> (durable_lost || (kept(0) && kept(1)))) }

/* Each of these must be refuted: the model really does what it is there to do. */
ltl never_agrees { [] (nodes_agreed < NODES) }
ltl never_forces { [] !(nodes_agreed == 1 && life[0] == stopped && life[RANKS - 1] == dead) }
ltl never_resumes { [] !(starts == 2 && acknowledged_before != 0 && life[0] == finished) }
ltl lift_lifts_all { [] !(starts == 2 && acknowledged[0] == 3 && lifts == 1 && life[0] == refused) }
