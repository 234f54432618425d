/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine's interface for the library and the tools. An engine belongs to a network namespace:
 * the caller's. All calls need root (CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN) and return 0 or
 * -errno unless stated otherwise; engine_error() explains a failure. One thread at a time may use a
 * struct engine.
 */
#ifndef DIVERT_ENGINE_ENGINE_H
#define DIVERT_ENGINE_ENGINE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* Maps, named as in the kernel half. */
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
	ENGINE_SENDERS,
	ENGINE_ERRORS,
	ENGINE_TABLE_ADDRS,
	ENGINE_TABLE_HOSTS,
	ENGINE_TABLE_FILTER,
	ENGINE_TABLE_KINDS,
	ENGINE_TABLE_KEYS,
	ENGINE_TABLE_FLOWS,
	ENGINE_LOG_ENTRIES,
	ENGINE_LOG_HEAD,
	ENGINE_LOG_COUNTS,
	ENGINE_BULK,
	ENGINE_FLOWS,
	ENGINE_FLOW_INFO,
	ENGINE_RELEASED,
	ENGINE_RELEASING,
	ENGINE_VERDICTS,
	ENGINE_MAPS,
};

struct engine {
	int map[ENGINE_MAPS];  /* descriptors */
	int prog_in, prog_out; /* descriptors of the hook programs */
	int lock;	       /* descriptor, open for writing while the lock is held; else -1 */
	int asker;  /* descriptor: our own packet socket on lo; else -1, opened on demand */
	int hosts;  /* descriptor: the map in ENGINE_TABLE_HOSTS; else -1, opened on demand */
	int filter; /* the same for ENGINE_TABLE_FILTER */
	struct divert_identity identity;
};

enum engine_open_flags {
	ENGINE_LOAD = 1 << 0,	/* if there is no engine, load it and hook all interfaces */
	ENGINE_LOCK = 1 << 1,	/* exclude other writers until engine_close() */
	ENGINE_SOCKET = 1 << 2, /* for a socket: leave dead sockets to engine_port_bind() */
};

/*
 * Find the namespace's engine. If a process was killed while it loaded or removed an engine, the
 * rest of that engine is removed first. Dead sockets are removed too, with their memory. -ENOENT:
 * no engine (without ENGINE_LOAD). -EPERM: not root. -EPROTO: an engine of another layout. On
 * failure nothing is left open.
 */
int engine_open(struct engine *e, unsigned int flags);
void engine_close(struct engine *e);

/* One sentence about this thread's last call that failed; never NULL. */
const char *engine_error(void);
#define ENGINE_ERROR_MAX 512 /* bytes of it */

/*
 * Describe an errno, or -errno, in words: with the limit's value, and how to fix it if we know
 * (engine/reason.c).
 */
void engine_reason(int error, char *text, size_t size);

/* Below 0: the engine is older than this build. 0: the same build. Above 0: newer. */
int engine_age(const struct engine *e);

/*
 * Remove the engine: hooks, the qdiscs that we added, the settings of lo. -ENOENT: none there. If
 * this is killed midway, the next command completes it.
 */
int engine_unload(void);

/* ---- replacing the kernel half by this build's (engine/upgrade.c) ---- */

struct engine_upgrade {
	struct engine old; /* may be of another layout: only for the calls here */
	struct engine new; /* of this build; takes effect in engine_upgrade_finish() */
	bool keeps_maps;   /* same layout: rules, counters, ports and sockets stay */
};

/*
 * Find the engine, and load this build's programs next to it. 0: not needed, because the engine is
 * of this build, or is newer and force is not set; only `old` is open. 1: go on. Without keeps_maps
 * the caller must give `new` its rules before engine_upgrade_finish(), from the source in `old`
 * (engine_rules_get()). -ENOENT. -EPROTO: not an engine, or a newer one. Nothing changes yet. Call
 * engine_upgrade_close() in each case.
 */
int engine_upgrade_begin(struct engine_upgrade *u, bool force);

/*
 * Replace the programs hook by hook; each packet meets either the old engine or the new one. tell:
 * see engine_attach(). On failure the old engine is restored.
 */
int engine_upgrade_finish(struct engine_upgrade *u,
			  void (*tell)(const char *name, const char *why, void *arg), void *arg);
void engine_upgrade_close(struct engine_upgrade *u);

struct engine_rules;

/* ---- interfaces (engine/attach.c) ---- */

/*
 * Hook an interface, or with 0 all that carry IP, including ports of bridges, bonds and the like. A
 * side is hooked if the current rules may match there or reinjection needs it; hooks on other sides
 * are removed. tell (or NULL) is called for each interface that cannot be hooked completely, with
 * the reason, and for each where another program or filter runs before the engine. Returns the
 * first error. Needs ENGINE_LOCK.
 */
int engine_attach(struct engine *e, uint32_t ifindex,
		  void (*tell)(const char *name, const char *why, void *arg), void *arg);

/*
 * Prepare all interfaces for engine_rules_set(): also hook the sides where the next rules may
 * match. next NULL: no rules. No hook is removed here, because each attach or detach takes the
 * kernel some 16 ms.
 */
int engine_attach_ahead(struct engine *e, const struct engine_rules *next,
			void (*tell)(const char *name, const char *why, void *arg), void *arg);

/*
 * Unhook all interfaces, notify the bound sockets, and restore the settings of lo. The last hook of
 * lo goes at the end: until then the engine, and the settings from before it, can be found.
 */
int engine_detach(struct engine *e);

/* How an interface is hooked, as the kernel reports it now. */
struct engine_iface {
	const char *name;
	uint32_t ifindex;
	bool in, out;			/* this engine's programs are there */
	bool need_in, need_out;		/* a rule, or reinjection, needs them there */
	char warning[ENGINE_ERROR_MAX]; /* how packets can get past the rules; "": they cannot */
};

/* Call see() for each interface that should be hooked. Changes nothing. */
int engine_look(struct engine *e, void (*see)(const struct engine_iface *i, void *arg), void *arg);

/*
 * 1: the interface is a port of a bridge, bond or the like, whose name is stored in master. 0: it
 * is not. Needs no root.
 */
int engine_port_of(uint32_t ifindex, char master[IF_NAMESIZE]);

/* ---- rules (engine/ruleset.c); writing needs ENGINE_LOCK ---- */

struct engine_rules {
	struct divert_insn *insn;
	uint32_t insns;
	struct divert_entry *entry;
	uint32_t entries;
	char *source; /* the rule model, serialized by rules/store.c */
	uint32_t source_len;
	bool soon; /* do not wait until no packet uses the old rules; a child does. For tools */
};

/*
 * Install a rule set, atomically: each packet meets the old one or the new one. No entries: no
 * rules. -E2BIG, -ENOMEM.
 */
int engine_rules_set(struct engine *e, const struct engine_rules *r);

/*
 * The source of the installed rule set. It is malloc'ed and the caller frees it; NULL and 0 if
 * there is none.
 */
int engine_rules_get(struct engine *e, char **source, uint32_t *len);

/*
 * Allocate a slot for the ring of a process that owns rules; they match while the ring is held.
 * Slots of owners that have ended are freed first, so no installed rule may name one of them.
 * -ENOSPC.
 */
int engine_owner_add(struct engine *e, int ring_fd, uint32_t *slot);

/* ---- the rules' counters (engine/counter.c) ---- */

/* Summed over the CPUs, since it was last set to 0. counter: below DIVERT_RULES_MAX. */
int engine_counter_get(struct engine *e, uint32_t counter, struct divert_rule_counter *sum);
/*
 * Reset a counter by subtracting its value, which is stored in sum unless that is NULL. Under
 * traffic, too, each packet and each byte is in exactly one such sum. Needs ENGINE_LOCK.
 */
int engine_counter_zero(struct engine *e, uint32_t counter, struct divert_rule_counter *sum);

/* ---- states of flows (engine/flows.c) ---- */

struct engine_flow {
	struct divert_flow_key key;
	struct divert_flow flow;
};

/*
 * All states and counts of limits, by rule; also those whose time is over. Returns their number, or
 * -errno. They are malloc'ed and the caller frees them.
 */
int engine_flows(struct engine *e, struct engine_flow **flows);

/* Let the time of these states be over. They are removed when their room is needed. */
void engine_flows_expire(struct engine *e, const struct engine_flow *flows, int n);

/*
 * Have room for as many states, and as many released flows, as the settings say; those that there
 * are stay. -EBUSY: they are more. One that is made meanwhile may be lost. Needs ENGINE_LOCK.
 */
int engine_flows_resize(struct engine *e);

/* "udp 10.1.0.1 1000 <-> 10.2.0.1 53". swapped: the second address is named first. */
#define ENGINE_FLOW_TEXT 160 /* bytes of it */
void engine_flow_text(const struct divert_flow_key *key, bool swapped, char *text);

struct engine_released {
	uint32_t port; /* host order */
	struct divert_flow_key key;
	struct divert_released released;
};

/*
 * All released flows, by port, without those whose time is over. Returns their number, or -errno.
 * They are malloc'ed and the caller frees them.
 */
int engine_released(struct engine *e, struct engine_released **flows);

/* ---- tables and the log (engine/table.c) ---- */

/*
 * An entry of ENGINE_TABLE_ADDRS, ENGINE_TABLE_KEYS or ENGINE_TABLE_FLOWS. The key says which table
 * it is in.
 */
struct engine_entry {
	union {
		struct divert_table_addr addr;
		struct divert_table_key key;
		struct divert_table_flow flow;
	};
	uint32_t value;
};

/* Bytes of an entry's key. */
size_t engine_table_key(enum engine_map map);

/* -ENOSPC: full. */
int engine_table_put(struct engine *e, enum engine_map map, const struct engine_entry *entry);
/* -ENOENT, without a sentence for engine_error(): no such entry. */
int engine_table_remove(struct engine *e, enum engine_map map, const struct engine_entry *entry);
/*
 * All entries of a table, sorted. Returns their number, or -errno. They are malloc'ed and the
 * caller frees them.
 */
int engine_table_entries(struct engine *e, enum engine_map map, uint32_t table,
			 struct engine_entry **entries);

/* Remove the entries of all tables for which keep() is false. */
int engine_table_sweep(struct engine *e, enum engine_map map,
		       bool (*keep)(uint32_t table, void *arg), void *arg);

/* The next entry above *serial that is still there. 1: found; 0: none yet. */
int engine_log_read(struct engine *e, uint64_t *serial, struct divert_log_entry *entry);
/* Reset a rule's count of logged packets. */
int engine_log_reset(struct engine *e, uint32_t counter);

/* ---- ports (engine/port.c, bind.c, stat.c) ---- */

/*
 * Ensure that these ports (keys: host order, or'ed with DIVERT_KEY_V6) have entries, so that their
 * losses are counted. If the table is full, entries are dropped that no installed rule names and no
 * socket is bound to. -ENOSPC: there would still be more than 4,095; nothing has changed. Needs
 * ENGINE_LOCK.
 */
int engine_ports_add(struct engine *e, const uint32_t *key, uint32_t n);

/*
 * Bind the ring to a port; returns its slot and the index of the port's counters. conf: the
 * socket's settings. -EADDRINUSE: a live socket has the port, and not both are shared
 * (SO_REUSEPORT). -ENOSPC: DIVERT_GROUP_MAX sockets share it, or see engine_ports_add(). Needs
 * ENGINE_LOCK.
 */
int engine_port_bind(struct engine *e, uint32_t key, int ring_fd, bool shared,
		     const struct divert_socket *conf, uint32_t *slot, uint32_t *stats);
/* Undo engine_port_bind(). Needs ENGINE_LOCK. */
int engine_port_leave(struct engine *e, uint32_t key, uint32_t slot);

/*
 * List the programs that hold the ring in this slot, of a socket or of a rule owner, or with -1 any
 * ring: "natd (812), ...". Only what /proc shows (engine/holders.c). Returns how many rings are
 * held.
 */
int engine_holders(const struct engine *e, int slot, char *text, size_t size);
/* Append the program of a process to such a list. */
void engine_program(const char *pid, char *text, size_t size);

/*
 * List ordinary raw sockets of this network namespace that have a divert protocol number, and the
 * programs that hold them, as engine_holders() does; one program at least for each socket that
 * /proc shows (engine/raw.c). Returns how many sockets.
 */
int engine_raw_sockets(char *text, size_t size);

/* 1: a process holds the ring in this slot. 0: none does. */
int engine_slot_alive(struct engine *e, uint32_t slot);

struct engine_port {
	uint32_t key;
	struct divert_port conf;
	struct divert_port_stats stats; /* summed */
	unsigned int alive;		/* live sockets that are bound to it */
};
/*
 * All ports, sorted by key. Returns their number, or -errno. They are malloc'ed and the caller
 * frees them.
 */
int engine_ports(struct engine *e, struct engine_port **ports);
/* Counters that belong to no port. */
int engine_stats(struct engine *e, struct divert_port_stats *sum);

/* ---- bulk path: many inbound packets at a time (engine/bulk.c) ---- */

struct engine_bulk {
	int prog; /* descriptor: the XDP program that is run to send them */
	int pin;  /* descriptor: a private netns with the program attached, which makes runs fast */
	struct divert_bulk *bulk; /* packets to send; memory shared with the kernel half */
};

/*
 * Open the bulk path of a process to the interfaces of this network namespace. Sending needs no
 * privilege later. sock: any socket that was made in the namespace. -errno: no bulk path; opening
 * it takes CAP_SYS_ADMIN, too.
 */
int engine_bulk_open(const struct engine *e, int sock, struct engine_bulk *t);
void engine_bulk_close(struct engine_bulk *t);

/*
 * Send the packets in t->bulk to the interface. Returns how many of them went, counted from the
 * first.
 */
uint32_t engine_bulk_send(const struct engine_bulk *t, uint32_t ifindex);

/* A cause's name as `divertctl stat` prints it ("no-listener"), and its meaning in a sentence. */
const char *engine_cause_name(enum divert_cause cause);
const char *engine_cause_text(enum divert_cause cause);

#endif
