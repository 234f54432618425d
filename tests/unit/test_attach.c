// SPDX-License-Identifier: BSD-2-Clause
/* Messages of engine_attach() for kernels that refuse a hook, by a fake kernel. */
// sources: engine/attach.c engine/needs.c engine/walk.c engine/error.c engine/thread.c
// sources: engine/reason.c engine/netlink.c
// libs: -lmnl
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "engine/down.h"
#include "engine/engine.h"
#include "engine/hook.h"
#include "engine/port.h"
#include "engine/sysctl.h"

#define LO 1

static int qdisc_says, attach_says;

void engine_down(struct engine *e)
{
}

int hook_before(uint32_t ifindex, enum hook_side side, uint32_t prog_id, char *names, size_t size)
{
	return 0;
}

int hook_qdisc_add(uint32_t ifindex, int *ours)
{
	*ours = !qdisc_says;
	return qdisc_says;
}

int hook_qdisc_is_ours(uint32_t ifindex)
{
	return 0;
}

void sysctl_restore(const uint8_t was[8])
{
}

int hook_qdisc_remove(uint32_t ifindex)
{
	return 0;
}

int hook_attach(uint32_t ifindex, enum hook_side side, int prog_fd, uint32_t prog_id, bool chain)
{
	return attach_says;
}

int hook_query(uint32_t ifindex, enum hook_side side, uint32_t *prog_id)
{
	*prog_id = 0;
	return 0;
}

bool hook_is_bare(uint32_t ifindex, enum hook_side side)
{
	return true;
}

int hook_detach(uint32_t ifindex, enum hook_side side)
{
	return 0;
}

int ruleset_code(struct engine *e, struct engine_rules *r)
{
	*r = (struct engine_rules){};
	return 0;
}

void ruleset_code_free(struct engine_rules *r)
{
}

int port_settle_begin(struct engine *e)
{
	return -EIO;
}

int port_settle(struct engine *e, int map)
{
	return -EIO;
}

int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
	errno = ENOENT;
	return -1;
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	return 0;
}

int bpf_map_delete_elem(int fd, const void *key)
{
	return 0;
}

int bpf_map_get_next_key(int fd, const void *key, void *next_key)
{
	errno = ENOENT;
	return -1;
}

int bpf_obj_get_info_by_fd(int fd, void *info, __u32 *len)
{
	errno = EBADF;
	return -1;
}

static void says(int qdisc, int attach, int rc, const char *sentence)
{
	struct engine e = {};

	qdisc_says = qdisc;
	attach_says = attach;
	assert_int_equal(engine_attach(&e, LO, NULL, NULL), rc);
	assert_string_equal(engine_error(), sentence);
}

static void without_clsact(void **state)
{
	says(-ENOENT, 0, -ENOENT,
	     "lo: no clsact qdisc: this kernel lacks CONFIG_NET_SCH_INGRESS: load the module, or "
	     "take "
	     "another kernel");
}

static void without_cls_bpf(void **state)
{
	says(0, -ENOENT, -ENOENT,
	     "lo: no egress hook: this kernel lacks CONFIG_NET_CLS_BPF: load the module, or take "
	     "another kernel");
}

static void older_ingress(void **state)
{
	says(-EEXIST, 0, -EEXIST, "lo: no egress hook: its qdisc is the older ingress, not clsact");
}

static void no_memory(void **state)
{
	says(0, -ENOMEM, -ENOMEM,
	     "lo: no egress hook: Cannot allocate memory: the host's, or the limit of its control "
	     "group (memory.max), is used up");
}

static void no_such_interface(void **state)
{
	struct engine e = {};

	assert_int_equal(engine_attach(&e, 1u << 30, NULL, NULL), -ENODEV);
	assert_string_equal(engine_error(), "interface 1073741824: no such interface");
}

static void reasons(void **state)
{
	char text[ENGINE_ERROR_MAX], small[8];

	engine_reason(-EIO, text, sizeof(text));
	assert_string_equal(text, "Input/output error");
	engine_reason(ENFILE, text, sizeof(text));
	assert_non_null(strstr(text, "Too many open files in system: the host may have "));
	assert_non_null(strstr(text, "'sysctl fs.file-max=NUMBER'"));
	engine_reason(EPERM, small, sizeof(small));
	assert_string_equal(small, "Operati");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_clsact),    cmocka_unit_test(without_cls_bpf),
		cmocka_unit_test(older_ingress),     cmocka_unit_test(no_memory),
		cmocka_unit_test(no_such_interface), cmocka_unit_test(reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
