/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to the kernel half (the engine's BPF programs) over the reinject socket: report losses,
 * set options, and ask why it refused a frame.
 */
#ifndef LIB_KERNEL_H
#define LIB_KERNEL_H

#include "socket.h"

/*
 * The errno for which the kernel half refused the last frame of this packet socket; 0: it did not.
 */
uint32_t socket_refusal(const struct dsock *s, int reinject);

/* Add to the kernel half's counters a loss that only user space has seen. */
void socket_count_loss(const struct dsock *s, enum divert_cause cause);
void socket_count_losses(const struct dsock *s, enum divert_cause cause, uint32_t n);

/* Tell the kernel half about an option of a bound socket. 0 or -errno. */
int socket_set(const struct dsock *s, enum divert_set what, uint32_t value);

/*
 * Has the engine gone that the sending half belongs to? lo would accept the frame and drop it.
 * Another process that shares the socket may have bound it in the next engine.
 */
bool socket_is_cut_off(const struct dsock *s);

/* Apply shared->send_timeout to the reinject sockets. 0 or -errno. */
int socket_send_timeout(const struct dsock *s);

#endif
