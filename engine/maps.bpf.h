/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of the kernel half, named as in enum engine_map. */
#ifndef DIVERT_ENGINE_MAPS_BPF_H
#define DIVERT_ENGINE_MAPS_BPF_H

#include "counters.bpf.h"
#include "layout.h"

/* A secret, chosen when the engine is loaded and constant for the programs. */
const volatile __u32 entry_key[2] = {}; /* in the cb[] of a packet between lo and its hook */

/* Flags for bpf_fib_lookup() that this kernel knows. */
const volatile __u32 fib_flags = 0;
#define FIB_MARK 32u /* since 6.10; the mark shares its place with smac */

/*
 * The cookie of the engine's network namespace, for programs of the chain (engine/chain.h): they
 * move with their interface to another namespace. 0 for classic filters, which stay behind.
 */
const volatile __u64 chain_net = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct divert_identity);
} identity SEC(".maps");

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

/* User space subtracts these from what it reads in rule_counters. */
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

/* slot -> settings of its socket */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DIVERT_SOCKETS_MAX);
	__type(key, __u32);
	__type(value, struct divert_socket);
} socket_conf SEC(".maps");

/*
 * Marks the packet sockets for reinjection. A socket becomes one only through a process that may
 * open this map, which takes privilege. The mark is stored with the socket itself, so it can be
 * neither guessed nor forged; the process that uses the socket cannot reach it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct divert_sender);
} senders SEC(".maps");

/* Per such socket: the header that it sent ahead of a long packet. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct divert_ahead);
} ahead SEC(".maps");

/* Per such socket: why its last frame was refused, an errno. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} errors SEC(".maps");

#endif
