// sources: none
// cflags: -Iinclude/compat
/* SPDX-License-Identifier: BSD-2-Clause */
/* The compatibility headers: numbers and layouts, and that they go together with <divert.h>. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The order of the HOWTO's example, without <sys/socket.h> and <arpa/inet.h>. */
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#if !defined IPPROTO_DIVERT || !defined IP_DIVERTFL || !defined PF_DIVERT || !defined AF_DIVERT
#error "programs test for these with #ifdef"
#endif

#include <linux/icmp.h>
#include <linux/ip_fw.h>
#include <linux/types.h>

#include <netinet/ip_divert.h>

#include "include/divert.h"

static void numbers(void **state)
{
	assert_int_equal(IPPROTO_DIVERT, 258);
	assert_int_equal(IPPROTO_DIVERT_OLD, 254);
	assert_int_equal(IP_DIVERTFL, 0x1022);
	assert_int_equal(IPPROTO_DIVERT_INIT, 2);
	assert_int_equal(IPPROTO_DIVERT_RESP, 1);
	assert_int_equal(AF_DIVERT, PF_DIVERT);
	assert_int_equal(SO_USER_COOKIE, 0x1015);
	assert_int_equal(SO_REUSEPORT_LB, SO_REUSEPORT);
}

static void family_is_free(void **state)
{
	struct sockaddr sa = {.sa_family = AF_DIVERT};

	assert_true(AF_DIVERT >= AF_MAX);
	assert_int_equal(sa.sa_family, AF_DIVERT);
}

/* Without a declaration the compiler would cut the pointer to an int. */
static void inet_ntoa_declared(void **state)
{
	struct in_addr addr = {htonl(0x7f000001)};

	assert_string_equal(inet_ntoa(addr), "127.0.0.1");
}

/* <linux/if.h> and <net/if.h> use this name. */
static void interface_names(void **state)
{
	assert_int_equal(IFNAMSIZ, sizeof(((struct ip_fw *)NULL)->fw_vianame));
	assert_int_equal(IFNAMSIZ, sizeof(((struct ip_fwpkt *)NULL)->fwp_vianame));
}

static void firewall_options(void **state)
{
	static const int options[] = {
		IP_FW_APPEND,	     IP_FW_REPLACE,	IP_FW_DELETE_NUM,  IP_FW_DELETE,
		IP_FW_INSERT,	     IP_FW_FLUSH,	IP_FW_ZERO,	   IP_FW_CHECK,
		IP_FW_MASQ_TIMEOUTS, IP_FW_CREATECHAIN, IP_FW_DELETECHAIN, IP_FW_POLICY,
		IP_FW_MASQ_CTL,
	};
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		assert_int_equal(options[i], 64 + i);
}

static void firewall_flags(void **state)
{
	assert_int_equal(IP_FW_F_PRN, 1);
	assert_int_equal(IP_FW_F_TCPSYN, 2);
	assert_int_equal(IP_FW_F_FRAG, 4);
	assert_int_equal(IP_FW_F_MARKABS, 8);
	assert_int_equal(IP_FW_F_WILDIF, 0x10);
	assert_int_equal(IP_FW_F_NETLINK, 0x20);
	assert_int_equal(IP_FW_INV_SRCIP, 1);
	assert_int_equal(IP_FW_INV_DSTIP, 2);
	assert_int_equal(IP_FW_INV_PROTO, 4);
	assert_int_equal(IP_FW_INV_SRCPT, 8);
	assert_int_equal(IP_FW_INV_DSTPT, 0x10);
	assert_int_equal(IP_FW_INV_VIA, 0x20);
	assert_int_equal(IP_FW_INV_SYN, 0x40);
	assert_int_equal(IP_FW_INV_FRAG, 0x80);
}

#define AT(type, member, offset, size)                                                             \
	do {                                                                                       \
		assert_int_equal(offsetof(struct type, member), offset);                           \
		assert_int_equal(sizeof(((struct type *)NULL)->member), size);                     \
	} while (0)

static void firewall_layout(void **state)
{
	AT(ip_fw, fw_src, 0, 4);
	AT(ip_fw, fw_dst, 4, 4);
	AT(ip_fw, fw_smsk, 8, 4);
	AT(ip_fw, fw_dmsk, 12, 4);
	AT(ip_fw, fw_mark, 16, 4);
	AT(ip_fw, fw_proto, 20, 2);
	AT(ip_fw, fw_flg, 22, 2);
	AT(ip_fw, fw_invflg, 24, 2);
	AT(ip_fw, fw_spts, 26, 4);
	AT(ip_fw, fw_dpts, 30, 4);
	AT(ip_fw, fw_redirpt, 34, 2);
	AT(ip_fw, fw_outputsize, 36, 2);
	AT(ip_fw, fw_vianame, 38, 16);
	AT(ip_fw, fw_tosand, 54, 1);
	AT(ip_fw, fw_tosxor, 55, 1);
	assert_int_equal(sizeof(struct ip_fw), 56);

	AT(ip_fwuser, ipfw, 0, 56);
	AT(ip_fwuser, label, 56, 9);
	assert_int_equal(sizeof(struct ip_fwuser), 68);

	AT(ip_fwchange, fwc_rule, 0, 68);
	AT(ip_fwchange, fwc_label, 68, 9);
	assert_int_equal(sizeof(struct ip_fwchange), 80);

	AT(ip_fwnew, fwn_rulenum, 0, 4);
	AT(ip_fwnew, fwn_rule, 4, 68);
	AT(ip_fwnew, fwn_label, 72, 9);
	assert_int_equal(sizeof(struct ip_fwnew), 84);

	AT(ip_fwdelnum, fwd_rulenum, 0, 4);
	AT(ip_fwdelnum, fwd_label, 4, 9);
	assert_int_equal(sizeof(struct ip_fwdelnum), 16);

	AT(ip_fwpolicy, fwp_policy, 0, 9);
	AT(ip_fwpolicy, fwp_label, 9, 9);
	assert_int_equal(sizeof(struct ip_fwpolicy), 18);

	AT(ip_fwpkt, fwp_iph, 0, 20);
	AT(ip_fwpkt, fwp_protoh, 20, 20);
	AT(ip_fwpkt, fwp_via, 40, 4);
	AT(ip_fwpkt, fwp_vianame, 44, 16);
	assert_int_equal(sizeof(struct ip_fwpkt), 60);

	AT(ip_fwtest, fwt_packet, 0, 60);
	AT(ip_fwtest, fwt_label, 60, 9);
	assert_int_equal(sizeof(struct ip_fwtest), 72);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(family_is_free),
		cmocka_unit_test(inet_ntoa_declared),
		cmocka_unit_test(interface_names),
		cmocka_unit_test(firewall_options),
		cmocka_unit_test(firewall_flags),
		cmocka_unit_test(firewall_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
