/* How a job waits and goes on: a pause, a resume, and a stop in between.
 *
 * docs/stop_protocol.md explains it and names the functions; check.py runs it. It takes from stop.pml
 * what is the same (HOLD, votes, the edge) with one rank a node, and adds the way back.
 *
 * What may go wrong: a keeper dies at any moment (KEEPER_DEATHS) and another comes; only node 0 sees
 * the resume (ONE_SIGHT); a stop arrives during the pause (STOP); votes are looked at late. That a
 * vote is never heard shows as the minute of patience running out, which is long: it comes only when
 * nothing else can move (`timeout`), as the quiet deadline of a stop.
 *
 * Seeded mistakes, each of which spin must find (-D...):
 *   NOT_TOLD      a node that ended a pause does not tell the others
 *   LEFT_WAITING  a keeper that comes anew does not look for ranks that wait for what has ended
 *   VOTES_MIXED   votes are counted whatever they are about
 *   VOTE_RAISED   a keeper that comes anew raises its vote to where the rank is by then
 *   ONE_WAY       ranks that were released stay at the edge
 */

#ifndef LAST_STEP
#define LAST_STEP 2
#endif
#ifndef KEEPER_DEATHS
#define KEEPER_DEATHS 1
#endif
#ifndef PAUSES
#define PAUSES 1 /* one after the other: bits 1, 2 */
#endif

mtype = {running, stopped, dead, finished};
mtype = {in_step, at_edge, held};
mtype = {none, hold, wait_at_edge, stop_at_edge};

/* The tally pages. */
mtype command[2] = none;
byte edge[2];       /* under hold: the node's vote, + 1 so that 0 is none */
byte page_order[2]; /* what made it wait or stop */
mtype life[2] = running;
mtype place[2] = in_step;
byte begun[2] = 1;
byte closed[2];
byte next_edge[2] = 1;

/* The store: a vote, and what it is about. */
byte store_vote[2];
byte store_about[2];

/* Keepers' memory. */
byte about[2]; /* 0: brakes for nothing */
bool voted[2];
bool decided[2];

/* The authority, and what a node has read or heard of it. */
byte paused; /* bits of the pauses that were given */
byte resumed;
bool stop_given;
byte seen[2];  /* resumes, in the ledger */
bool told[2];

#define STOPS 4 /* what a stop is about */
byte agreed_edge;
byte deaths;

#define due(n) (paused & ~seen[n])
/* A stop goes before a pause; of two pauses the lower. */
#define wanted(n) (stop_given -> STOPS : ((due(n) & 1) -> 1 : due(n)))
#ifdef VOTES_MIXED
#define heard(n) (store_vote[1 - n] != 0)
#else
#define heard(n) (store_vote[1 - n] != 0 && store_about[1 - n] == about[n])
#endif

inline leave(r, how) {
  life[r] = how;
  place[r] = in_step
}

inline go_on(r) {
  if
  :: closed[r] == LAST_STEP -> leave(r, finished)
  :: else ->
     begun[r] = closed[r] + 1;
     place[r] = in_step;
     /* Nobody passes the edge that all agreed on to wait at. */
     assert(agreed_edge == 0 || begun[r] <= agreed_edge)
  fi
}

proctype Rank(byte r) {
end:
  do
  :: d_step {
       life[r] == running && place[r] == in_step && begun[1 - r] >= begun[r] ->
       closed[r] = begun[r];
       next_edge[r] = closed[r] + 1;
       place[r] = at_edge
     }
  :: d_step {
#ifdef ONE_WAY
       place[r] != held &&
#endif
       life[r] == running && place[r] != in_step && command[r] == none ->
       go_on(r)
     }
  :: d_step {
       life[r] == running && place[r] == at_edge && command[r] == hold ->
       next_edge[r] = closed[r];
       place[r] = held
     }
  :: d_step {
       life[r] == running && place[r] == at_edge && command[r] == wait_at_edge &&
         closed[r] >= edge[r] - 1 ->
       next_edge[r] = closed[r];
       place[r] = held
     }
  :: d_step {
       life[r] == running && place[r] != in_step &&
         (command[r] == wait_at_edge || command[r] == stop_at_edge) && closed[r] < edge[r] - 1 ->
       next_edge[r] = closed[r] + 1;
       go_on(r)
     }
  :: d_step {
       life[r] == running && place[r] != in_step && command[r] == stop_at_edge &&
         closed[r] >= edge[r] - 1 ->
       leave(r, stopped)
     }
  od
}

inline release(n) {
  command[n] = none;
  edge[n] = 0;
  page_order[n] = 0;
  about[n] = 0;
  voted[n] = false;
  decided[n] = false;
  store_vote[n] = 0;
  store_about[n] = 0;
  agreed_edge = 0
}

proctype Keeper(byte n) {
end:
  do
  :: d_step { /* Brake::apply: HOLD in the page, a vote that lies there is kept. */
       about[n] == 0 && wanted(n) != 0 && life[n] == running ->
       about[n] = wanted(n);
       if
       :: command[n] == none -> edge[n] = 0
       :: else
       fi;
       command[n] = hold;
       page_order[n] = about[n]
     }
  :: d_step { /* The vote, after HOLD: what the rank published. */
       about[n] != 0 && !voted[n] ->
       if
#ifdef VOTE_RAISED
       :: edge[n] < next_edge[n] + 1 -> edge[n] = next_edge[n] + 1
#else
       :: edge[n] == 0 -> edge[n] = next_edge[n] + 1
#endif
       :: else /* repeated as it was: a peer may have decided by it */
       fi;
       voted[n] = true;
       store_vote[n] = edge[n];
       store_about[n] = about[n]
     }
  :: d_step {
       command[n] == hold && voted[n] && !decided[n] && heard(n) ->
       edge[n] = (store_vote[1 - n] > edge[n] -> store_vote[1 - n] : edge[n]);
       decided[n] = true;
       command[n] = (about[n] == STOPS -> stop_at_edge : wait_at_edge);
       if
       :: decided[1 - n] && about[1 - n] == about[n] && command[1 - n] == command[n] &&
            life[1 - n] == running && edge[1 - n] > 1 ->
          assert(edge[n] == edge[1 - n] || about[n] == STOPS);
          if
          :: about[n] != STOPS && edge[n] == edge[1 - n] -> agreed_edge = edge[n] - 1
          :: else
          fi
       :: else
       fi
     }
  :: d_step { /* A minute without the other's vote: each at its own edge. */
       timeout && command[n] == hold && voted[n] && !decided[n] ->
       edge[n] = 1;
       decided[n] = true;
       command[n] = (about[n] == STOPS -> stop_at_edge : wait_at_edge)
     }
  :: d_step { /* A stop takes the place of a pause, where the ranks are. */
       stop_given && about[n] != 0 && about[n] != STOPS && voted[n] ->
       about[n] = STOPS;
       page_order[n] = STOPS;
       store_about[n] = STOPS;
       agreed_edge = 0;
       if
       :: decided[n] -> command[n] = stop_at_edge
       :: else
       fi
     }
  :: d_step { /* The resume, by its own eyes or by the other's word. */
#ifdef ONE_SIGHT
       n == 0 &&
#endif
       (resumed & ~seen[n]) != 0 ->
       seen[n] = seen[n] | resumed
     }
#ifndef NOT_TOLD
  :: d_step { (seen[1 - n] & ~seen[n]) != 0 -> seen[n] = seen[n] | seen[1 - n] }
#endif
  :: d_step { /* What it waits for has ended, or another pause is due first. */
       about[n] != 0 && about[n] != STOPS && wanted(n) != about[n] && !stop_given && voted[n] ->
       release(n)
     }
#ifndef LEFT_WAITING
  :: d_step { /* Ranks that an earlier keeper made wait, for what has ended since. */
       about[n] == 0 && command[n] != none && (page_order[n] & ~seen[n]) == 0 &&
         wanted(n) == 0 ->
       release(n)
     }
#endif
  :: d_step { /* The quiet deadline of a stop. */
       timeout && command[n] == stop_at_edge && life[n] == running -> leave(n, dead)
     }
  :: d_step { /* It dies: its memory is gone, its page is not. */
       deaths < KEEPER_DEATHS && about[n] != 0 && voted[n] ->
       deaths++;
       about[n] = 0;
       voted[n] = false;
       if
       :: command[n] == wait_at_edge -> decided[n] = false
       :: else -> decided[n] = false
       fi
     }
  od
}

proctype Officer() {
  paused = 1;
#ifdef STOP
  if
  :: stop_given = true
  :: skip
  fi;
#endif
  d_step { resumed = 1 };
#if PAUSES == 2
  d_step { paused = 3 };
  d_step { resumed = 3 }
#endif
}

init {
  atomic {
    run Rank(0);
    run Rank(1);
    run Keeper(0);
    run Keeper(1);
    run Officer()
  }
}

#define all_pauses ((1 << PAUSES) - 1)
#define over(r) (life[r] != running)
/* A job that is let go on comes to its end; one that is stopped comes to rest. */
ltl goes_on { [] ((resumed == all_pauses && !stop_given) -> <> (over(0) && over(1))) }
ltl loses_nothing { [] ((resumed == all_pauses && !stop_given) -> <> (life[0] == finished && life[1] == finished)) }
ltl stops { [] (stop_given -> <> (over(0) && over(1))) }

/* To be refuted: the model really waits. */
ltl never_waits { [] !(place[0] == held && place[1] == held && agreed_edge > 0) }
