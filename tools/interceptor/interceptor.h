/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef INTERCEPTOR_H
#define INTERCEPTOR_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "divert.h"

/* A packet, and what its headers say. */
struct seen {
	struct divert_info info;
	const uint8_t *packet; /* from its IP header on */
	size_t len;
	int version;		  /* 4, 6; 0: no IP packet, and nothing below is known */
	const uint8_t *src, *dst; /* addresses */
	uint8_t proto;
	const uint8_t *inner; /* behind the IP headers */
	size_t rest;	      /* bytes from there on */
	bool later;	      /* a fragment other than the first */
	bool ports;	      /* inner begins with two ports */
};

/* Who sent a packet, or receives it, on this host. */
struct process {
	uint32_t uid; /* (uint32_t)-1: not known */
	char user[64];
	int pid; /* 0: not known */
	char name[64];
};

/* tools/interceptor/packet.c: read the headers; packet, len and info are set. */
void seen_parse(struct seen *s);
uint16_t get16(const uint8_t *p);
/* Is it an echo request or reply? Its id and number are at inner + 4. */
bool is_echo(const struct seen *s, bool *request);
/* The flags of a TCP header as letters; false: it is none, or too short. */
#define TCP_FLAGS_TEXT 9
bool tcp_flags(const struct seen *s, char text[TCP_FLAGS_TEXT]);

/* tools/interceptor/iface.c: an interface's name, ":12" if it has none; looked up each second */
const char *iface_name(uint32_t ifindex);

/* tools/interceptor/process.c: look for the process. False: nothing is known. */
bool find_process(const struct seen *s, struct process *p);

/*
 * tools/interceptor/print.c: print one line: time, direction, interfaces, rule, and a summary of
 * the packet; who (or NULL) comes last.
 */
void print_line(FILE *to, const struct seen *s, const struct process *who);
/* Print the packet in hex, 16 bytes a line, as the HOWTO's program does. */
void print_hex(FILE *to, const struct seen *s);
/* The same as tcpdump -A and -X print it. */
void print_ascii(FILE *to, const struct seen *s);
void print_hex_ascii(FILE *to, const struct seen *s);

/* tools/interceptor/json.c: print a JSON object on one line; hex: with the packet. */
void print_json(FILE *to, const struct seen *s, const struct process *who, bool hex);

/* tools/interceptor/own_rule.c: a rule and a port of its own */
struct own_rule {
	char *words; /* "icmp from any to any in" */
	unsigned long number;
	int fd; /* the rule ends with it; -1: there is none */
};
/* Read the words, which may begin with the rule's number. -1: refused, and that is reported. */
int own_rule_read(struct own_rule *o, char **words, int n);
/* Bind the socket to a free port. -1: none, with the reason in divert_error(). */
int own_rule_bind(int fd, uint16_t *port);
/* Add the rule; its number is stored in the object. -1: failed, and that is reported. */
int own_rule_add(struct own_rule *o, uint16_t port);
/* Remove the rule. When this returns no packet comes by it any more. */
void own_rule_end(struct own_rule *o);

/* tools/interceptor/end.c: after the socket was closed: warn if rules still divert to the port. */
void tell_end(uint16_t port);

#endif
