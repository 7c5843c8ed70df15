/* rota.pml: leases, fences, closing, releasing, claiming and settling, for Spin. docs/model.md maps each step to the code.
 *
 * One node with a supervisor and, one after the other, two workers; a worker of another node, which does not die; one or two
 * observers with clocks of their own; one job. What may go wrong: a process dies or does nothing for as long as it likes, at
 * any step; replies are lost; reads fail; what was sent by a process that has died arrives later; clocks differ in rate.
 *
 * Every process is a loop over the steps that it may take now. No step but the kernel's has to be taken soon, so that being
 * slow, stopped or cut off need no words of their own. Time goes on in ticks, and only while the kernel owes nothing.
 *
 * What must hold:
 *     ONE RUNNER      two runs of the job never overlap
 *     THE FENCE       no settle is recorded after a newer claim
 *     SETTLED ONCE    and nobody who did it is told that he did not
 *     NO FALSE DEATH  a node is closed only a full lease after the last renewal that reached the store, and after the last
 *                     read that failed
 *     ALL RELEASED    a closed worker claims nothing; one that has been rescued holds nothing
 *     TIMED           nothing runs while no timer is armed
 *     NOT STUCK       when nothing more can happen, the job has been settled
 *
 * Mutants: -D with a name from an #ifdef below. Each must give a counterexample.
 */

#ifndef K
#define K 2                     /* ticks until the kernel ends a node: 5.5 s; with 11 a tick is half a second */
#endif
#ifndef OBSERVERS
#define OBSERVERS 1
#endif
#ifndef WORKERS
#define WORKERS 2               /* of the node, one after the other */
#endif
#ifndef RENEWALS
#define RENEWALS 1              /* that reach the store, in all */
#endif
#ifndef LOSSES
#define LOSSES 0                /* replies lost and connections cut, in all */
#endif
#ifndef FAILURES
#define FAILURES 0              /* reads that fail, in all */
#endif

#ifdef LONG_JOB                 /* fewer histories, for two observers with slow reads: no crash but the supervisor's, after its */
#define is_long true            /* last renewal; the node's job runs for ever; observer 0 goes by file locks alone */
#else
#define is_long false
#endif

#define TICK   11               /* what a tick adds to a clock that runs like the node's */
#define LEASE  (16 * K)         /* 8 s, in the same unit: 16/11 of K ticks */
#define STOP   ((10 * K) / 11)  /* 5 s, in ticks, rounded down: the supervisor stops its workers */

#if defined(DRIFT_AT_BOUND)
#define FAST 16                 /* 16/11 of the node's clock */
#elif defined(DRIFT_BEYOND)
#define FAST 18
#else
#define FAST 15
#endif

#if defined(TIMER_AFTER_LEASE)
#define KILL ((16 * K) / 11 + 1)
#elif defined(TIMER_ONE_LATE)
#define KILL (K + 1)            /* `<=` for `<`: the last instant counts as good */
#else
#define KILL K                  /* 5.5 s, in ticks */
#endif

#ifdef LEASE_ONE_EARLY
#define OVER(age) ((age) > LEASE - TICK)    /* `<` for `<=`: the last instant counts as over */
#else
#define OVER(age) ((age) >= LEASE)
#endif

#define OTHER  2                /* the worker of the other node */
#define NOBODY 3

/* A message to the store. It goes on when its sender has died. */
#define NONE 0
#define SENT 1
#define HELD 2                  /* a claim inside the store: it has its worker's row for key share and the job's row */
#define DONE 3                  /* committed; the reply is on its way */
#define REFUSED 4

/* The store. */
bool node_open = true;
byte counter;
bool open[2];
byte holder = NOBODY;
byte fence;
bool finished;
byte finished_fence;

/* The node: its messages, its supervisor, its workers. */
byte claim[2];
byte settle[2];
byte renewal;
bool up = true;                 /* the supervisor lives */
bool armed = true;              /* the kernel's timer */
byte since_good;                /* ticks since the sending of the last renewal that was answered */
byte since_sent;                /* ticks since the sending of the one on its way */
byte current;                   /* which worker is, or was last */
bool alive[2];
bool dying;                     /* a SIGKILL is on its way to the current one */
bool to_release;                /* the supervisor has closed its dead worker's row and has yet to release */
bool running[3];
byte my_fence[3];
bool deaf[2];                   /* nobody waits any more for the reply to the claim on its way */

/* Observers: 0 does not die, and may live on the node's host; 1 may die. */
mtype = { IDLE, READING, READ, CLOSING, RESCUING, CLOSED };
mtype doing[2];
bool observing[2];
bool beside;                    /* observer 0 sees the file locks of the node and its workers */
bool news[2];                   /* a read may show something new; without this, reads would go on for ever */
bool has_sight[2];
byte seen[2];                   /* the counter's value when it was last seen to change */
byte age[2];                    /* since that read returned, on the observer's clock */
byte orphan[2];                 /* since a worker was first seen without an open node, plus one; 0: not seen so */
byte lost[2];                   /* whose node's lease had run out in a read that showed both */
bool was_over[2];               /* the read began a full lease after the first sight */
bool snap_node[2];
byte snap_counter[2];
byte snap_worker[2];            /* the open worker in the read; there is never more than one */
byte target[2];                 /* whom it rescues */
#ifdef FROM_SEND
byte begun[2];
#endif
#ifdef FROM_FAILED_READ
bool has_failed[2];
#endif
#ifdef ONE_STATEMENT
bool snap_held[2];
#endif

/* Ghosts: what only the properties know. */
bool calm;                      /* nobody dies and time stands still: what got lost, only adoption can find */
byte losses = LOSSES;
byte failures = FAILURES;
byte claim_number;
byte my_claim[3];
byte recorded_claim;
byte since_renewal[2];          /* since the last renewal that reached the store, on the observer's clock */
byte since_failure[2];          /* since the last read that failed */

#define is_free   (!finished && holder == NOBODY && claim[0] != HELD && claim[1] != HELD)
#define is_good   (since_good < STOP)
#if defined(WORKERS_OUTLIVE)
#define owes      (up && armed && since_good >= KILL)
#elif defined(NO_TIMER)
#define owes      (!up && alive[current])
#else
#define owes      ((up && armed && since_good >= KILL) || (!up && alive[current]))
#endif
#ifdef NO_SECOND_LOOK
#define is_left   false
#else
#define is_left   (holder < OTHER && !open[holder])         /* a closed worker holds something */
#endif
#define sees_locks(o) (beside && (o) == 0)
#ifdef FROM_FAILED_READ
#define is_counting(o) (has_sight[o] || has_failed[o])
#else
#define is_counting(o) has_sight[o]
#endif
#define is_aging(o) (observing[o] && ((is_counting(o) && age[o] < LEASE) || (orphan[o] > 0 && orphan[o] <= LEASE)))

inline tell() { news[0] = true; news[1] = observing[1] }

inline die() {
    alive[current] = false; dying = false; running[current] = false; deaf[current] = false;
    if
    :: claim[current] == DONE -> claim[current] = NONE
    :: else
    fi;
    if
    :: settle[current] != SENT -> settle[current] = NONE; my_fence[current] = 0; my_claim[current] = 0
    :: else
    fi;
    tell()
}

inline fall() {
    up = false; armed = false; since_good = 0; since_sent = 0; to_release = false;
    renewal = (renewal == SENT -> SENT : NONE);
    tell()
}

inline begin_run(w) {
    assert(!running[0] && !running[1] && !running[2]);      /* ONE RUNNER */
    running[w] = true
}

inline take(w) {
    holder = w;
#ifndef FENCE_NOT_RAISED
    fence++;
#endif
    claim_number++;
    my_fence[w] = fence;
    my_claim[w] = claim_number;
    tell()
}

inline record(w) {
    if
#ifdef NO_FENCE
    :: !finished ->
#else
    :: !finished && fence == my_fence[w] ->
#endif
        assert(my_claim[w] == claim_number);                /* THE FENCE */
        assert(recorded_claim == 0);                        /* SETTLED ONCE */
        recorded_claim = my_claim[w];
        finished = true;
        finished_fence = my_fence[w];
        holder = NOBODY;
        done = true
#ifndef LOST_SETTLE_IS_STALE
    :: finished && finished_fence == my_fence[w] -> done = true
#endif
    :: else -> done = false
    fi
}

inline release(w) {
    if
    :: holder == w -> holder = NOBODY; tell()
    :: else
    fi
}

/* The worker of the other node. Of the histories, those in which the node claims first, or never. */
proctype other() {
    bool done;
end:do
    :: d_step { is_free && !running[OTHER] && (fence > 0 || claim[0] == NONE) -> take(OTHER); begin_run(OTHER) }
    :: d_step { running[OTHER] -> running[OTHER] = false; record(OTHER); done = false; my_fence[OTHER] = 0; my_claim[OTHER] = 0 }
    od
}

/* A worker of the node, and what is on its way from it. */
proctype worker(byte w) {
    bool done;
end:do
    :: d_step { alive[w] && !running[w] && claim[w] == NONE && settle[w] == NONE && is_free -> claim[w] = SENT }
    /* Inside the store in two steps, so that a close can come between. */
    :: d_step { claim[w] == SENT && !finished ->
           if
#ifdef WORKER_NOT_CHECKED
           :: is_free -> claim[w] = HELD
#else
           :: open[w] && is_free -> claim[w] = HELD
#endif
           :: else -> claim[w] = NONE; deaf[w] = false
           fi }
    :: d_step { claim[w] == HELD && !finished ->
           assert(open[w]);                                 /* ALL RELEASED */
           take(w);
           claim[w] = (alive[w] && !deaf[w] -> DONE : NONE); deaf[w] = false;
           my_fence[w] = (alive[w] -> my_fence[w] : 0); my_claim[w] = (alive[w] -> my_claim[w] : 0) }
    :: d_step { claim[w] == DONE -> claim[w] = NONE; begin_run(w) }
    /* The reply gets lost. What is on its way may still be done. */
    :: d_step { claim[w] != NONE && alive[w] && !deaf[w] && losses > 0 && !finished ->
           losses--;
           if
           :: claim[w] == DONE -> claim[w] = NONE
           :: else -> deaf[w] = true
           fi }
#ifndef NO_ADOPTION
    :: d_step { alive[w] && holder == w && !running[w] && settle[w] == NONE && claim[w] == NONE -> begin_run(w) }
#endif
    /* A settle leaves only after its run has ended. */
    :: d_step { alive[w] && running[w] && !is_long -> running[w] = false; settle[w] = SENT }
    :: d_step { settle[w] == SENT ->
           record(w);
           settle[w] = (alive[w] -> (done -> DONE : REFUSED) : NONE);
           my_fence[w] = (alive[w] -> my_fence[w] : 0); my_claim[w] = (alive[w] -> my_claim[w] : 0);
           done = false }
    :: d_step { (settle[w] == DONE || settle[w] == REFUSED) ->
           assert(settle[w] == DONE || recorded_claim != my_claim[w]);      /* SETTLED ONCE */
           settle[w] = NONE; my_fence[w] = 0; my_claim[w] = 0 }
    :: d_step { (settle[w] == DONE || settle[w] == REFUSED) && losses > 0 -> losses--; settle[w] = SENT }
    :: d_step { alive[w] && w == current && !calm && !is_long && !finished -> die() }
    od
}

/* The node's supervisor: renews, stops what may not run, makes up for the dead, starts again. */
proctype supervisor() {
end:do
    :: d_step { up && renewal == NONE && counter < RENEWALS && !calm && !finished -> renewal = SENT; since_sent = 0 }
    :: d_step { up && renewal == DONE && !finished ->
           renewal = NONE;
           if
           :: since_sent < STOP ->                          /* an answer that comes too late says nothing of the present */
#ifdef ARMED_FROM_REPLY
               since_good = 0
#else
               since_good = since_sent
#endif
           :: else
           fi;
           since_sent = 0 }
    :: d_step { up && renewal == DONE && losses > 0 && !finished -> losses--; renewal = NONE; since_sent = 0 }
    /* It dies; or it ends, since its renewal was REFUSED. */
    :: d_step { up && !calm && (!is_long || counter == RENEWALS) && !finished -> fall() }
    :: d_step { up && alive[current] && !dying && !is_good && !finished -> dying = true }
    /* Make up for a worker: close, and in a later transaction release. */
#ifdef RELEASE_BEFORE_REAP
    :: d_step { up && (dying || !alive[current]) && open[current] && claim[current] != HELD && !finished ->
#else
    :: d_step { up && !alive[current] && open[current] && claim[current] != HELD && !finished ->
#endif
           open[current] = false; to_release = true; tell() }
    :: d_step { up && to_release && !finished ->
           to_release = false; release(current);
           assert(claim[current] != HELD && holder != current) }            /* ALL RELEASED */
#ifdef DISARMED_BEFORE_REAP
    :: d_step { up && armed && !is_good && dying && !finished -> armed = false; since_good = KILL }
#else
    :: d_step { up && armed && !is_good && !alive[current] && !finished -> armed = false; since_good = KILL }
#endif
    :: d_step { up && is_good && node_open && current + 1 < WORKERS && !alive[current] && !open[current] && !to_release &&
                !finished ->
           armed = true; current = 1; alive[1] = true; open[1] = true; tell() }
    od
}

/* Inside the store: a renewal, whether its sender still lives or not. */
proctype lease_row() {
end:do
    :: d_step { renewal == SENT && !finished ->
           if
           :: node_open ->
               renewal = (up -> DONE : NONE); counter++; tell();
               since_renewal[0] = 0; since_renewal[1] = (observing[1] -> 0 : LEASE)
           :: else -> renewal = (up -> REFUSED : NONE)
           fi }
    od
}

/* The node's kernel: the only one that is always in time. A SIGKILL to a single worker may take its time. */
proctype kernel() {
end:do
#ifndef NO_TIMER
    :: d_step { up && armed && since_good >= KILL && !finished -> fall() }
#endif
#ifdef WORKERS_OUTLIVE
    :: d_step { alive[current] && dying && !finished -> die() }
#else
    :: d_step { alive[current] && (dying || !up) && !finished -> die() }
#endif
    od
}

/* What an observer makes of the read that has just returned. */
inline judge(o) {
    if
    :: sees_locks(o) && is_long -> skip
    :: !snap_node[o] -> has_sight[o] = false; age[o] = 0; was_over[o] = false;
           if
           :: snap_worker[o] == NOBODY -> orphan[o] = 0
           :: snap_worker[o] != NOBODY && orphan[o] == 0 -> orphan[o] = 1
           :: else
           fi
    :: snap_node[o] && (!has_sight[o] || seen[o] != snap_counter[o]) ->
           seen[o] = snap_counter[o]; has_sight[o] = true; was_over[o] = false; lost[o] = NOBODY;
#if defined(FROM_SEND)
           age[o] = begun[o]
#elif defined(FROM_FAILED_READ)
           age[o] = (has_failed[o] -> age[o] : 0); has_failed[o] = false
#else
           age[o] = 0
#endif
    :: else ->
#ifdef JUDGED_BY_RETURN
           was_over[o] = OVER(age[o]);
#endif
           if
           :: was_over[o] -> lost[o] = snap_worker[o]
           :: else
           fi
    fi;
    was_over[o] = was_over[o] || (sees_locks(o) && snap_node[o] && !up)
}

#ifdef ORPHAN_AT_ONCE
#define is_over(o) (!snap_node[o])
#else
#define is_over(o) (!snap_node[o] && (lost[o] == snap_worker[o] || orphan[o] > LEASE))
#endif

/* Choose what to do next: rescue the worker that was seen and is dead, go on with a release that was left off, or nothing. */
inline go_on(o) {
    if
    :: snap_worker[o] != NOBODY && (sees_locks(o) -> !alive[snap_worker[o]] : is_over(o)) ->
           target[o] = snap_worker[o]; doing[o] = RESCUING;
#ifdef ONE_STATEMENT
           snap_held[o] = (holder == target[o])             /* it sees what was committed when it began */
#endif
    :: else ->
        if
        :: is_left -> target[o] = holder; doing[o] = CLOSED
        :: else -> doing[o] = IDLE
        fi
    fi;
    snap_node[o] = false; snap_counter[o] = 0; snap_worker[o] = NOBODY
}

proctype observer(byte o) {
end:do
    :: d_step { observing[o] && doing[o] == IDLE && news[o] && !(sees_locks(o) && is_long && up) && !finished ->
           news[o] = false; was_over[o] = has_sight[o] && OVER(age[o]); doing[o] = READING;
#ifdef FROM_SEND
           begun[o] = 0
#endif
       }
    :: d_step { doing[o] == READING && failures > 0 && !finished ->
           failures--; since_failure[o] = 0; was_over[o] = false; news[o] = true; doing[o] = IDLE;
#ifndef COUNT_KEPT
           has_sight[o] = false; age[o] = 0;
#endif
#ifdef FROM_FAILED_READ
           has_failed[o] = true
#endif
       }
    :: d_step { doing[o] == READING && !finished ->
           snap_node[o] = node_open; snap_counter[o] = counter;
           snap_worker[o] = (open[0] -> 0 : (open[1] -> 1 : NOBODY));
           doing[o] = READ;
#ifdef SLOW_READS
       }
    :: d_step { doing[o] == READ && !finished ->
#endif
           judge(o);
           if
           :: was_over[o] -> was_over[o] = false; doing[o] = CLOSING
           :: else -> go_on(o)
           fi }
    /* Close the node, if it still is as it was seen. */
    :: d_step { doing[o] == CLOSING && !finished ->
           if
#ifdef NO_CAS
           :: node_open ->
#else
           :: node_open && counter == snap_counter[o] ->
#endif
               assert(since_renewal[o] >= LEASE || (sees_locks(o) && !up));     /* NO FALSE DEATH */
               assert(since_failure[o] >= LEASE || (sees_locks(o) && !up));
               node_open = false; snap_node[o] = false;
               since_renewal[0] = LEASE; since_renewal[1] = LEASE; since_failure[0] = LEASE; since_failure[1] = LEASE;
               tell()
           :: else
           fi;
           go_on(o) }
    /* Rescue a worker: close its row, waiting for a claim in flight; release in a later transaction. */
#ifdef RELEASE_FIRST
    :: d_step { doing[o] == RESCUING && !finished -> release(target[o]); doing[o] = CLOSED }
    :: d_step { doing[o] == CLOSED && claim[target[o]] != HELD && !finished -> open[target[o]] = false; tell();
#else
#ifdef PLAIN_CLOSE
    :: d_step { doing[o] == RESCUING && !finished ->
#else
    :: d_step { doing[o] == RESCUING && claim[target[o]] != HELD && !finished ->
#endif
           open[target[o]] = false; tell(); doing[o] = CLOSED }
    :: d_step { doing[o] == CLOSED && !finished ->
#ifdef ONE_STATEMENT
           if
           :: snap_held[o] -> release(target[o]); snap_held[o] = false
           :: else
           fi;
#else
           release(target[o]);
#endif
#endif
           assert(claim[target[o]] != HELD && holder != target[o]);         /* ALL RELEASED */
           target[o] = 0; doing[o] = IDLE }
    :: d_step { o == 1 && observing[1] && !is_long && !finished ->
           observing[1] = false; news[1] = false; doing[1] = IDLE; has_sight[1] = false; seen[1] = 0; age[1] = 0; orphan[1] = 0;
           lost[1] = NOBODY; was_over[1] = false; snap_node[1] = false; snap_counter[1] = 0; snap_worker[1] = NOBODY; target[1] = 0;
           since_renewal[1] = LEASE; since_failure[1] = LEASE }
    od
}

inline grow(it, rate, limit) {
    if
    :: it + rate < limit -> it = it + rate
    :: else -> it = limit
    fi
}

inline pass(o, rate) {
    if
    :: observing[o] ->
        news[o] = news[o] || is_aging(o);
        if
        :: is_counting(o) -> grow(age[o], rate, LEASE)
        :: else
        fi;
        if
        :: orphan[o] > 0 -> grow(orphan[o], rate, LEASE + 1)
        :: else
        fi;
#ifdef FROM_SEND
        grow(begun[o], rate, LEASE);
#endif
        grow(since_renewal[o], rate, LEASE);
        grow(since_failure[o], rate, LEASE)
    :: else
    fi
}

/* Time. It stands still where it can change nothing any more. */
proctype clock() {
end:do
    :: d_step { !calm && !finished && !owes && (is_aging(0) || is_aging(1) || (up && since_good < KILL)) ->
           assert(!alive[current] || !up || armed);         /* TIMED */
           if
           :: up -> grow(since_good, 1, KILL);
                if
                :: renewal != NONE -> grow(since_sent, 1, STOP)
                :: else
                fi
           :: else
           fi;
           pass(0, FAST); pass(1, TICK) }
    od
}

/* Whatever happened before: when nothing more can, the job has been settled. */
proctype ending() {
end:do
    :: timeout -> assert(finished); break                   /* NOT STUCK */
    od
}

init {
    atomic {
        alive[0] = true; open[0] = true; claim[0] = SENT;
        observing[0] = true; observing[1] = (OBSERVERS > 1);
        doing[0] = IDLE; doing[1] = IDLE; news[0] = true; news[1] = observing[1];
        lost[0] = NOBODY; lost[1] = NOBODY; snap_worker[0] = NOBODY; snap_worker[1] = NOBODY;
        since_renewal[0] = LEASE; since_renewal[1] = LEASE; since_failure[0] = LEASE; since_failure[1] = LEASE;
        if
        :: !is_long -> calm = true
        :: calm = false
        fi;
#ifdef BESIDE
        beside = true;
#endif
        run other(); run worker(0); run worker(1); run supervisor(); run lease_row(); run kernel();
        run observer(0); run observer(1); run clock(); run ending()
    }
}
