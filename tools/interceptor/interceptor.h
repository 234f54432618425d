/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef INTERCEPTOR_H
#define INTERCEPTOR_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One line: time, direction, interface, rule, and what the packet is. */
void print_line(FILE *to, const struct sockaddr_in *from, const uint8_t *packet, size_t len);
/* The packet in hex, 16 bytes a line, as the HOWTO's program has it. */
void print_hex(FILE *to, const uint8_t *packet, size_t len);

/* After the socket was closed: say so if rules still divert to the port and now drop. */
void tell_end(uint16_t port);

#endif
