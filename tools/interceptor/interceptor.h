/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef INTERCEPTOR_H
#define INTERCEPTOR_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Print one line: time, direction, interface, rule, and a summary of the packet. */
void print_line(FILE *to, const struct sockaddr_in *from, const uint8_t *packet, size_t len);
/* Print the packet in hex, 16 bytes a line, as the HOWTO's program does. */
void print_hex(FILE *to, const uint8_t *packet, size_t len);

/* After the socket was closed: warn if rules still divert to the port, and drop now. */
void tell_end(uint16_t port);

#endif
