/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains(8): rules that divert packets, in the grammar of Linux 2.2. */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "ipchains.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static void usage(FILE *f)
{
	fputs("usage: ipchains -[ADC] chain rule [options]\n"
	      "       ipchains -[RI] chain number rule [options]\n"
	      "       ipchains -D chain number\n"
	      "       ipchains -[LFZNX] [chain] [options]\n"
	      "       ipchains -P chain target\n"
	      "       ipchains -h [icmp] | --version\n"
	      "\n"
	      "  -A --append  -D --delete  -R --replace  -I --insert  -C --check a packet\n"
	      "  -L --list  -F --flush  -Z --zero  -N --new-chain  -X --delete-chain  -P --policy\n"
	      "rule: ! before a flag or its argument turns it around\n"
	      "  -p [!] tcp|udp|icmp|all|number\n"
	      "  -s [!] address[/mask] [!] [port[:port]]   of icmp the type\n"
	      "  -d [!] address[/mask] [!] [port[:port]]   of icmp the code\n"
	      "  -i [!] interface[+]\n"
	      "  -j ACCEPT|DENY|REJECT|RETURN|DIVERT port|chain\n"
	      "  [!] -y  TCP, the first packet    [!] -f  second and further fragments\n"
	      "  -l  log    -m [+-]mark    -t and xor  of the TOS, hexadecimal bytes\n"
	      "options:\n"
	      "  -b  the rule for the other direction too\n"
	      "  -n  numbers, no names    -v  more    -x  exact counters    --line-numbers\n"
	      "for example: ipchains -A input -p ICMP -j DIVERT 1234\n"
	      "The manual page ipchains(8) has the rest.\n",
	      f);
}

static void usage_icmp(void)
{
	unsigned int i;

	puts("types and codes of ICMP:");
	for (i = 0; i < chain_icmps; i++)
		if (chain_icmp[i].code < 0)
			printf("%s (%u)\n", chain_icmp[i].name, chain_icmp[i].type);
		else
			printf("   %s (%u, code %d)\n", chain_icmp[i].name, chain_icmp[i].type,
			       chain_icmp[i].code);
}

static int look_up(const char *name, struct in_addr *addr, int max)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_RAW};
	struct addrinfo *list, *a;
	int n = 0;

	if (getaddrinfo(name, NULL, &hints, &list))
		return 0;
	for (a = list; a && n < max; a = a->ai_next)
		addr[n++] = ((struct sockaddr_in *)a->ai_addr)->sin_addr;
	freeaddrinfo(list);
	return n;
}

static int list(const struct chain_command *c, struct rules_error *err)
{
	struct chainset s;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int rc = chainset_open(&s, c->zero ? ENGINE_LOCK : 0, err);

	if (!f && !rc) {
		strcpy(err->text, "out of memory");
		rc = -1;
	}
	if (!rc)
		rc = list_chains(&s, c, f, err);
	if (f)
		fclose(f);
	/* the counters shown are reset now; those that were not shown are reset below */
	if (!rc || c->zero)
		fputs(text ? text : "", stdout);
	if (!rc && c->zero && !c->verbose)
		rc = chainset_zero(&s, c->chain, err);
	if (!rc)
		transaction_look(s.change, warn_interface);
	free(text);
	chainset_close(&s);
	return rc;
}

static int run(const struct chain_command *c, struct rules_error *err)
{
	struct chainset s;
	int rc = chainset_open(&s, chainset_flags(c->op) | TRANSACTION_SOON, err);

	if (!rc && c->op == 'C')
		rc = check_packets(&s, c, err);
	else if (!rc && c->op == 'Z')
		rc = chainset_zero(&s, c->chain, err);
	else if (!rc)
		rc = chain_command_run(&s.chains, c, err) ||
				     chainset_commit(&s, warn_interface, err)
			     ? -1
			     : 0;
	if (!rc && strchr("AIR", c->op)) {
		tell_interface(c->spec);
		if (c->spec->port)
			tell_no_listener(&s, c->spec->port);
	}
	chainset_close(&s);
	return rc;
}

static int ipchains_main(int argc, char **argv)
{
	static const struct chain_names names = {.host = look_up};
	struct rules_error err = {.status = EIO};
	struct chain_command c;
	int rc = 0;

	if (argc < 2) {
		usage(stderr);
		return STATUS_PARAMETER;
	}
	if (chain_command_read(&c, argc - 1, (const char *const *)argv + 1, &names, &err)) {
		fprintf(stderr, "ipchains: %s\n", err.text);
		return STATUS_PARAMETER;
	}
	if (c.no_address)
		fputs("ipchains: warning: an address is missing: any is meant\n", stderr);
	if (c.op == 'h' && c.icmp_help)
		usage_icmp();
	else if (c.op == 'h')
		usage(stdout);
	else if (c.op == 'V')
		puts("ipchains (ipdivert) " VERSION);
	else
		rc = c.op == 'L' ? list(&c, &err) : run(&c, &err);
	chain_command_free(&c);
	if (rc)
		return complain("ipchains", &err);
	if (fflush(stdout)) {
		fputs("ipchains: writing the output failed\n", stderr);
		return STATUS_OTHER;
	}
	return STATUS_OK;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = !argc ? "" : slash ? slash + 1 : argv[0];

	if (!strcmp(name, "ipchains-save"))
		return save_main(argc, argv);
	if (!strcmp(name, "ipchains-restore"))
		return restore_main(argc, argv);
	return ipchains_main(argc, argv);
}
