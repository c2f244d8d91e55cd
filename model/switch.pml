/*
 * The switch of a database, there and back, by runners that may end anywhere: a model for spin.
 *
 * What it is of: cutover/switching/switch.py (park, fence, drain, promote, let through; give up; recover), with
 * the lease of cutover/table_lease.py. What it leaves out: time. A runner may be as slow as it likes, and its
 * lease may lapse at any moment; one thing is assumed of time, that a call's limit is shorter than the lease:
 * what a runner has begun has landed, or never will, when another takes its lease.
 *
 * It is checked as it is, and has to hold; and without one protection each, when it has to fail:
 *   -DNO_FENCE   the old database goes on taking writes
 *   -DNO_DRAIN   nobody waits until the new database has everything
 *   -DNO_EPOCH   a runner whose lease is another's goes on
 *   -DNO_DEMOTE  what was promoted is not taken back before the old database serves again
 *   -DNO_GIVING_BACK  it is not written down that what was promoted took no write
 */

#define SOURCE 0
#define TARGET 1
#define RUNNERS 3
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef LAPSES
#define LAPSES 1
#endif
#ifndef REQUESTS
#define REQUESTS 2
#endif

mtype = { nothing, parking, fencing, fenced, promoting, giving_back, letting_through, done, given_up };

/* The databases: side 1 - d is the other one. */
bool admits[2];      /* takes the services' writes */
byte written[2];     /* transactions that were acknowledged there */
byte has[2];         /* how many of the other's it has applied */
bool follows[2];     /* applies what the other writes */

/* The gate, before the services. */
bool closed;
bit side;
byte in_flight;

/* The record of the switch, durable. */
mtype stage = nothing;
bit old_side;        /* which database it leaves */
byte stood;          /* where the new one stood when its promotion was begun */

/* The lease. */
byte holder;         /* 0: nobody */
byte epoch;
bool lapsed[RUNNERS + 1];
bool begun[RUNNERS + 1];   /* a call of it is under way */

byte crashes, lapses, ended;
bool ready, requests_over;

/* Which database the record says is the one that serves. */
#define SERVES (stage == done -> (1 - old_side) : old_side)
#define IN_THE_MIDDLE (stage != nothing && stage != done && stage != given_up)

#ifdef NO_EPOCH
#define MINE true
#else
#define MINE (epoch == mine && holder == id)
#endif

/* An effect: asked of the lease, begun, and landed later; in between the runner may end. What it had begun then
 * lands or is lost. `effect` is one statement, atomic as its server makes it. */
#define DO(effect) \
	atomic { if :: MINE -> begun[id] = true :: else -> goto stale fi }; \
	if \
	:: atomic { effect; begun[id] = false } \
	:: atomic { id < RUNNERS && crashes < CRASHES -> crashes++; \
		if :: effect :: true fi; begun[id] = false; lapsed[id] = true; goto over } \
	fi

/* A line of the record: durable, and none of a runner that has lost its lease. */
#define NOTE(what) \
	atomic { if :: MINE -> stage = what :: else -> goto stale fi }

/* Where a database stands: what it applied moves it on as what it took by itself. */
#define POSITION(d) (written[d] + has[d])

/* Gives up and goes back, as `give_up` does; there is only the way ahead where the new one was written to. */
#define GIVE_UP \
	if \
	:: stage == promoting -> \
		DEMOTE; \
		if \
		:: POSITION(new) != stood -> goto ahead \
		:: else -> GIVING_BACK \
		fi; \
		DO(follows[new] = true) \
	:: stage == giving_back -> \
		DEMOTE; \
		DO(follows[new] = true) \
	:: else \
	fi; \
	DO(admits[old] = true); \
	DO(atomic { side = old; closed = false }); \
	NOTE(given_up)

/* Once it follows again, where it stands says no more whether it was written to. */
#ifdef NO_GIVING_BACK
#define GIVING_BACK skip
#else
#define GIVING_BACK NOTE(giving_back)
#endif

#ifdef NO_DEMOTE
#define DEMOTE skip
#else
#define DEMOTE DO(admits[new] = false)
#endif

#ifdef NO_FENCE
#define FENCE skip
#else
#define FENCE DO(admits[old] = false)
#endif

#ifdef NO_DRAIN
#define DRAINED true
#else
#define DRAINED (has[new] == written[old])
#endif

proctype runner(byte id)
{
	byte mine;
	bit old, new;
	bool back;

	/* takes the lease: from nobody, or from one whose lease has lapsed and whose calls have landed */
	atomic {
		(holder == 0 || (lapsed[holder] && !begun[holder]));
		holder = id; epoch++; mine = epoch
	};

	/* what was cut short is ended first */
	atomic { old = old_side; new = 1 - old };
	if
	:: stage == letting_through -> goto ahead
	:: IN_THE_MIDDLE && stage != letting_through -> GIVE_UP
	:: else
	fi;

	/* then on, to the target; or back, which begins at the target with the source following */
	atomic { old = SERVES; new = 1 - old; back = (old == TARGET) };
	if
	:: back ->
		DO(follows[TARGET] = false);
		DO(follows[SOURCE] = true)
	:: else ->
		DO(follows[SOURCE] = false);
		DO(follows[TARGET] = true)
	fi;

	atomic { if :: MINE -> stage = parking; old_side = old :: else -> goto stale fi };
	DO(closed = true);
	if
	:: in_flight == 0
	:: GIVE_UP; goto leave                  /* the deadline: at any moment */
	fi;
	NOTE(fencing);
	FENCE;
	NOTE(fenced);
	if
	:: DRAINED
	:: GIVE_UP; goto leave
	fi;
	atomic { if :: MINE -> stage = promoting; stood = POSITION(new) :: else -> goto stale fi };
	DO(follows[new] = false);
	DO(admits[new] = true);
	if
	:: true
	:: GIVE_UP; goto leave
	fi;

ahead:
	NOTE(letting_through);
	DO(admits[new] = true);
	DO(atomic { side = new; closed = false });
	NOTE(done);

leave:
	atomic { if :: holder == id -> holder = 0 :: else fi };
	goto over;
stale:
	/* another is at work: nothing more is begun */
	skip;
over:
	ended++
}

/* Requests through the gate: none is ever refused, and each database is asked only when it has all of the other. */
active proctype clients()
{
	byte n;
	bit at;
	do
	:: n < REQUESTS ->
		atomic { ready && !closed -> at = side; in_flight++ };
		atomic {
			assert(admits[at]);                          /* service */
			assert(has[at] == written[1 - at]);          /* no write lost */
			written[at]++; in_flight--; n++
		}
	:: break
	od;
	requests_over = true
}

/* A program that nobody named writes to the source, beside the gate, whenever that takes its writes. */
active proctype beside()
{
	do
	:: atomic { ready && admits[SOURCE] && written[SOURCE] < REQUESTS + 1 ->
		assert(has[SOURCE] == written[TARGET]);          /* no write lost */
		written[SOURCE]++ }
	:: requests_over -> break
	od
}

active [2] proctype replication()
{
	bit replica = _pid % 2;
	do
	:: atomic { follows[replica] && has[replica] < written[1 - replica] -> has[replica]++ }
	:: atomic { ended == RUNNERS && (!follows[replica] || has[replica] == written[1 - replica]) -> break }
	od
}

/* A lease may lapse at any moment: its holder was stopped, or cut off. */
active proctype time()
{
end:
	do
	:: atomic { lapses < LAPSES && holder != 0 && holder < RUNNERS -> lapses++; lapsed[holder] = true }
	:: ended == RUNNERS -> break
	od
}

active proctype invariants()
{
end:
	do
	:: atomic { admits[SOURCE] && admits[TARGET] -> assert(false) }     /* one side writes */
	:: ended == RUNNERS -> break
	od
}

init
{
	atomic {
		admits[SOURCE] = true; follows[TARGET] = true; side = SOURCE; ready = true;
		run runner(1); run runner(2)
	};
	/* the last one is neither killed nor stopped: it reaches an end */
	ended == RUNNERS - 1;
	run runner(RUNNERS);
	ended == RUNNERS;
	assert(stage == done || stage == given_up);                             /* known end */
	assert(!closed && admits[side] && !admits[1 - side] && side == SERVES)
}
