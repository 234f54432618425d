/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine, as the library and the tools see it: it belongs to a network
 * namespace, the one that the caller is in. Everything here needs root
 * (CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN) and answers 0 or
 * -errno unless it says otherwise. Where a call fails, engine_error() has a
 * sentence about it. One struct engine is for one thread at a time.
 */
#ifndef DIVERT_ENGINE_ENGINE_H
#define DIVERT_ENGINE_ENGINE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* The maps, by their names in the kernel half. */
enum engine_map {
	ENGINE_IDENTITY,
	ENGINE_SETTINGS,
	ENGINE_IFACES,
	ENGINE_RULES,
	ENGINE_RULE_COUNTERS,
	ENGINE_RULE_BASES,
	ENGINE_PORTS,
	ENGINE_PORT_STATS,
	ENGINE_SOCKETS,
	ENGINE_SOCKET_CONF,
	ENGINE_ERRORS,
	ENGINE_TABLE_ADDRS,
	ENGINE_TABLE_KEYS,
	ENGINE_TABLE_FLOWS,
	ENGINE_LOG_ENTRIES,
	ENGINE_LOG_HEAD,
	ENGINE_LOG_COUNTS,
	ENGINE_TRAINS,
	ENGINE_MAPS,
};

struct engine {
	int map[ENGINE_MAPS];  /* descriptors */
	int prog_in, prog_out; /* descriptors: of the hooks' programs */
	int lock;	       /* descriptor: held while open for writing, else -1 */
	int asker; /* descriptor: a packet socket of the mark; else -1, and opened on need */
	struct divert_identity identity;
};

enum engine_open_flags {
	ENGINE_LOAD = 1 << 0, /* load it, and hook all interfaces, if there is none */
	ENGINE_LOCK = 1 << 1, /* keep other writers out until engine_close() */
};

/*
 * Find the namespace's engine. -ENOENT: there is none (without ENGINE_LOAD).
 * -EPERM: not root. -EPROTO: one of another layout. On failure nothing is left open.
 */
int engine_open(struct engine *e, unsigned int flags);
void engine_close(struct engine *e);

/* What went wrong in this thread's last call that failed; never NULL. */
const char *engine_error(void);
#define ENGINE_ERROR_MAX 512 /* bytes of it */

/* An errno, or -errno, in words: with the limit's value, and the way out where there is one (engine/reason.c). */
void engine_reason(int error, char *text, size_t size);

/* Below 0: the engine is older than this build. 0: of it. Above: newer. */
int engine_age(const struct engine *e);

/* Remove every trace of the engine: hooks, qdiscs of ours, settings of lo. -ENOENT: none there. */
int engine_unload(void);

/* ---- the kernel half of this build instead of another's (engine/upgrade.c) ---- */

struct engine_upgrade {
	struct engine old; /* of another layout: only for the calls here */
	struct engine new; /* of this build; in effect from engine_upgrade_finish() on */
	bool keeps_maps;   /* the layout is the same: rules, counters, ports and sockets stay */
};

/*
 * Find the engine; unless it is of this build, or newer and force is not set, load this one's programs next to it.
 * 0: not needed, and only old is open. 1: go on. Without keeps_maps the caller gives new its rules, before it
 * calls engine_upgrade_finish(): the source is that of old (engine_rules_get()). -ENOENT. -EPROTO: of no engine,
 * or newer. Until then nothing has changed. engine_upgrade_close() in each case.
 */
int engine_upgrade_begin(struct engine_upgrade *u, bool force);

/*
 * Hook by hook, each packet meeting the old engine or the new one. tell: as engine_attach() has it. On failure the old
 * one is there as it was.
 */
int engine_upgrade_finish(struct engine_upgrade *u,
			  void (*tell)(const char *name, const char *why, void *arg), void *arg);
void engine_upgrade_close(struct engine_upgrade *u);

/* ---- interfaces (engine/attach.c) ---- */

/*
 * Hook the interface, or with 0 all that carry IP, ports of a bridge, bond or the like among them. tell is called for
 * each interface that cannot be hooked (wholly), with the reason, and for each where something comes before the engine;
 * it may be NULL. The first error is returned.
 */
int engine_attach(struct engine *e, uint32_t ifindex,
		  void (*tell)(const char *name, const char *why, void *arg), void *arg);

/*
 * Take the hooks away from all interfaces, and tell the sockets that are bound; from lo last: as long as that has them
 * the engine can be found.
 */
int engine_detach(struct engine *e);

/* How an interface is hooked, as the kernel says now. */
struct engine_iface {
	const char *name;
	uint32_t ifindex;
	bool in, out;			/* this engine's programs are there */
	char warning[ENGINE_ERROR_MAX]; /* what lets packets past the rules; "": nothing */
};

/* See each interface that is to be hooked. Changes nothing. */
int engine_look(struct engine *e, void (*see)(const struct engine_iface *i, void *arg), void *arg);

/* 1: the interface is a port of a bridge, bond or the like, which has this name. 0: it is none. Needs no root. */
int engine_port_of(uint32_t ifindex, char master[IF_NAMESIZE]);

/* ---- rules (engine/ruleset.c); the engine is open with ENGINE_LOCK for writing ---- */

struct engine_rules {
	struct divert_insn *insn;
	uint32_t insns;
	struct divert_entry *entry;
	uint32_t entries;
	char *source; /* what rules/store.c made of the rule model */
	uint32_t source_len;
	bool soon; /* do not wait until no packet is with the old ones: a child does; for tools */
};

/* Put a rule set in place, for the next packet as a whole. No entries: no rules. -E2BIG, -ENOMEM. */
int engine_rules_set(struct engine *e, const struct engine_rules *r);

/* The source of the rule set in place; malloc'ed, the caller frees it; NULL and 0 if there is none. */
int engine_rules_get(struct engine *e, char **source, uint32_t *len);

/*
 * A slot for the ring of a process that owns rules, which have effect while it is held. Those of
 * owners that have ended are taken back first: no rule in place may name one of them. -ENOSPC.
 */
int engine_owner_add(struct engine *e, int ring_fd, uint32_t *slot);

/* ---- the rules' counters (engine/counter.c) ---- */

/* Summed over the processors, since it was last set to 0. counter: below DIVERT_RULES_MAX. */
int engine_counter_get(struct engine *e, uint32_t counter, struct divert_rule_counter *sum);
/*
 * Set it to 0, by what it was, which sum takes unless it is NULL: under traffic too, each packet and each byte is in
 * exactly one such sum. Needs ENGINE_LOCK.
 */
int engine_counter_zero(struct engine *e, uint32_t counter, struct divert_rule_counter *sum);

/* ---- tables and the log (engine/table.c) ---- */

/* Of ENGINE_TABLE_ADDRS, ENGINE_TABLE_KEYS, ENGINE_TABLE_FLOWS: which it is tells the key. */
struct engine_entry {
	union {
		struct divert_table_addr addr;
		struct divert_table_key key;
		struct divert_table_flow flow;
	};
	uint32_t value;
};

/* Bytes of its key. */
size_t engine_table_key(enum engine_map map);

/* -ENOSPC: full. */
int engine_table_put(struct engine *e, enum engine_map map, const struct engine_entry *entry);
/* -ENOENT, without a sentence: there is none. */
int engine_table_remove(struct engine *e, enum engine_map map, const struct engine_entry *entry);
/* All of a table, sorted; malloc'ed, the caller frees it. The number of them, or -errno. */
int engine_table_entries(struct engine *e, enum engine_map map, uint32_t table,
			 struct engine_entry **entries);

/* Remove the entries of all tables that keep() does not name. */
int engine_table_sweep(struct engine *e, enum engine_map map,
		       bool (*keep)(uint32_t table, void *arg), void *arg);

/* The next entry above *serial that is still there: 1; 0: there is none yet. */
int engine_log_read(struct engine *e, uint64_t *serial, struct divert_log_entry *entry);
/* A rule's count of packets that were logged. */
int engine_log_reset(struct engine *e, uint32_t counter);

/* ---- ports (engine/port.c, bind.c, stat.c) ---- */

/*
 * Make sure that these ports (keys: host order, or'ed with DIVERT_KEY_V6) have entries, so that what they lose is
 * counted for them. Where there is no room, those that no rule in place names and no socket is bound to go. -ENOSPC:
 * there would be more than 4,095 all the same; nothing has changed. Needs ENGINE_LOCK.
 */
int engine_ports_add(struct engine *e, const uint32_t *key, uint32_t n);

/*
 * Bind the ring to a port: -EADDRINUSE if a live socket has it, unless that one and this one are shared
 * (SO_REUSEPORT); -ENOSPC if DIVERT_GROUP_MAX share it, or as engine_ports_add(). conf: what the socket has set. Gives the slot, and
 * which counters are the port's. Needs ENGINE_LOCK.
 */
int engine_port_bind(struct engine *e, uint32_t key, int ring_fd, bool shared,
		     const struct divert_socket *conf, uint32_t *slot, uint32_t *stats);
/* Undo it. Needs ENGINE_LOCK. */
int engine_port_release(struct engine *e, uint32_t key, uint32_t slot);

/*
 * Programs that hold the ring in the slot, of a socket or an owner of rules, or with -1 in any, as far as /proc shows
 * them (engine/holders.c): "natd (812), ...". How many rings are held.
 */
int engine_holders(const struct engine *e, int slot, char *text, size_t size);
/* Add the program of a process to such a list. */
void engine_program(const char *pid, char *text, size_t size);

/*
 * Ordinary raw sockets of this network namespace with divert's protocol numbers, and programs that have them, as
 * engine_holders(), at least one for each that /proc shows (engine/raw.c). How many.
 */
int engine_raw_sockets(char *text, size_t size);

/* 1: a process holds the ring in this slot. 0: nobody does. */
int engine_slot_alive(struct engine *e, uint32_t slot);

struct engine_port {
	uint32_t key;
	struct divert_port conf;
	struct divert_port_stats stats; /* summed */
	unsigned int alive;		/* sockets that are bound to it */
};
/* All ports, sorted by key; malloc'ed, the caller frees it. The number of them, or -errno. */
int engine_ports(struct engine *e, struct engine_port **ports);
/* What belongs to no port. */
int engine_stats(struct engine *e, struct divert_port_stats *sum);

/* ---- many packets at a time, inbound (engine/train.c) ---- */

struct engine_train {
	int prog; /* descriptor: what is run to send a train */
	int hold; /* descriptor: a network namespace of its own, which makes that quick */
	struct divert_train *train; /* what is sent; shared with the kernel half, mapped */
};

/*
 * What a process sends trains with to interfaces of this network namespace, as long as it likes and without
 * privilege. sock: any socket that was made in it. -errno: there will be none; this takes CAP_SYS_ADMIN too.
 */
int engine_train_open(const struct engine *e, int sock, struct engine_train *t);
void engine_train_close(struct engine_train *t);

/* Send t->train to the interface; how many packets of it went, the first ones. */
uint32_t engine_train_send(const struct engine_train *t, uint32_t ifindex);

/* A cause's name as `divertctl stat` prints it ("no-listener"), and what it means in a sentence. */
const char *engine_cause_name(enum divert_cause cause);
const char *engine_cause_text(enum divert_cause cause);

#endif
