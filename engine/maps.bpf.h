/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of the kernel half. Their names are those of enum engine_map. */
#ifndef DIVERT_ENGINE_MAPS_BPF_H
#define DIVERT_ENGINE_MAPS_BPF_H

#include "layout.h"
#include "trains.bpf.h"

/* The secrets, chosen when the engine is loaded; constants to the programs. */
const volatile __u32 back_mark = 0;	/* SO_MARK of frames on their way back */
const volatile __u32 entry_key[2] = {}; /* in the cb[] of a packet between lo and its hook */

/* Of bpf_fib_lookup(), as far as the kernel knows them. */
const volatile __u32 fib_flags = 0;
#define FIB_MARK 32u /* 6.10; the mark stands where smac does */

/*
 * Of a program of the chain (engine/chain.h), which an interface takes with it into another namespace: the cookie of
 * the namespace that the engine is of. Classic filters stay behind: 0.
 */
const volatile __u64 chain_net = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct divert_identity);
} identity SEC(".maps");

/* ifindex -> enum divert_iface_flags; only for user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} ifaces SEC(".maps");

struct divert_pages {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(key_size, sizeof(__u32)); /* not by type: clang 14 leaves a union out here */
	__uint(value_size, sizeof(union divert_page));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct divert_pages);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DIVERT_RULES_MAX);
	__type(key, __u32);
	__type(value, struct divert_rule_counter);
} rule_counters SEC(".maps");

/* For user space, which takes it off what it reads of rule_counters. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DIVERT_RULES_MAX);
	__type(key, __u32);
	__type(value, struct divert_rule_base);
} rule_bases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DIVERT_PORTS_MAX);
	__type(key, __u32);
	__type(value, struct divert_port);
} ports SEC(".maps");

struct divert_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

/* slot -> ring of the socket */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, DIVERT_SOCKETS_MAX);
	__type(key, __u32);
	__array(values, struct divert_ring);
} sockets SEC(".maps");

/* slot -> what its socket has set */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DIVERT_SOCKETS_MAX);
	__type(key, __u32);
	__type(value, struct divert_socket);
} socket_conf SEC(".maps");

/* Of a packet socket on the way back: why its last frame was refused, an errno. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} errors SEC(".maps");

#endif
