// SPDX-License-Identifier: BSD-2-Clause
/*
 * On the BSDs /etc/services has natd's port, 8668 of "divert", and /etc/protocols has "divert",
 * 258. Programs look these names up, so we supply what the files here lack. Entries in the files
 * take precedence.
 */
#include "interpose/next.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PORT_NATD 8668
#define PROTOCOL  258

static const char name_divert[] = "divert", name_natd[] = "natd";

static bool is_service(const char *name, const char *proto)
{
	return name && !strcmp(name, name_natd) && (!proto || !strcmp(proto, name_divert));
}

static bool is_port(int port, const char *proto)
{
	return port == htons(PORT_NATD) && proto && !strcmp(proto, name_divert);
}

static bool is_protocol(const char *name)
{
	return name && (!strcmp(name, name_divert) || !strcmp(name, "DIVERT"));
}

/* An empty list in the caller's buffer. NULL: no room. */
static char **no_names(char *buf, size_t size)
{
	const size_t skip = -(uintptr_t)buf % sizeof(char *);
	char **list = (char **)(buf + skip);

	if (size < skip + sizeof(*list))
		return NULL;
	*list = NULL;
	return list;
}

static int answer_service(struct servent *s, char *buf, size_t size, struct servent **result)
{
	*result = NULL;
	s->s_aliases = no_names(buf, size);
	if (!s->s_aliases)
		return ERANGE;
	s->s_name = (char *)name_natd;
	s->s_port = htons(PORT_NATD);
	s->s_proto = (char *)name_divert;
	*result = s;
	return 0;
}

static int answer_protocol(struct protoent *p, char *buf, size_t size, struct protoent **result)
{
	*result = NULL;
	p->p_aliases = no_names(buf, size);
	if (!p->p_aliases)
		return ERANGE;
	p->p_name = (char *)name_divert;
	p->p_proto = PROTOCOL;
	*result = p;
	return 0;
}

/* The calls without _r return static memory, which the next call may overwrite. */
static struct servent *own_service(void)
{
	static struct servent service;
	static char *none[1];
	struct servent *s;

	return answer_service(&service, (char *)none, sizeof(none), &s) ? NULL : s;
}

static struct protoent *own_protocol(void)
{
	static struct protoent protocol;
	static char *none[1];
	struct protoent *p;

	return answer_protocol(&protocol, (char *)none, sizeof(none), &p) ? NULL : p;
}

PUBLIC struct servent *getservbyname(const char *name, const char *proto)
{
	struct servent *s = NEXT(getservbyname)(name, proto);

	return s || !is_service(name, proto) ? s : own_service();
}

PUBLIC struct servent *getservbyport(int port, const char *proto)
{
	struct servent *s = NEXT(getservbyport)(port, proto);

	return s || !is_port(port, proto) ? s : own_service();
}

PUBLIC struct protoent *getprotobyname(const char *name)
{
	struct protoent *p = NEXT(getprotobyname)(name);

	return p || !is_protocol(name) ? p : own_protocol();
}

PUBLIC struct protoent *getprotobynumber(int number)
{
	struct protoent *p = NEXT(getprotobynumber)(number);

	return p || number != PROTOCOL ? p : own_protocol();
}

PUBLIC int getservbyname_r(const char *name, const char *proto, struct servent *s, char *buf,
			   size_t size, struct servent **result)
{
	const int rc = NEXT(getservbyname_r)(name, proto, s, buf, size, result);

	return rc == ERANGE || *result || !is_service(name, proto)
		       ? rc
		       : answer_service(s, buf, size, result);
}

PUBLIC int getservbyport_r(int port, const char *proto, struct servent *s, char *buf, size_t size,
			   struct servent **result)
{
	const int rc = NEXT(getservbyport_r)(port, proto, s, buf, size, result);

	return rc == ERANGE || *result || !is_port(port, proto)
		       ? rc
		       : answer_service(s, buf, size, result);
}

PUBLIC int getprotobyname_r(const char *name, struct protoent *p, char *buf, size_t size,
			    struct protoent **result)
{
	const int rc = NEXT(getprotobyname_r)(name, p, buf, size, result);

	return rc == ERANGE || *result || !is_protocol(name)
		       ? rc
		       : answer_protocol(p, buf, size, result);
}

PUBLIC int getprotobynumber_r(int number, struct protoent *p, char *buf, size_t size,
			      struct protoent **result)
{
	const int rc = NEXT(getprotobynumber_r)(number, p, buf, size, result);

	return rc == ERANGE || *result || number != PROTOCOL
		       ? rc
		       : answer_protocol(p, buf, size, result);
}
