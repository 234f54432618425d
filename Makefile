# SPDX-License-Identifier: BSD-2-Clause
#
# make                    everything into build/ (V=1: with the commands; WERROR=1: warnings are errors)
#                         CC, CLANG, AR, CPPFLAGS, CFLAGS and LDFLAGS are heeded (-flto of clang: AR=llvm-ar);
#                         BPF_CFLAGS are of the kernel half
# make install            PREFIX=/usr/local DESTDIR=
# make examples           examples/, against the tree in build/stage
# make test               toolchain, unit, fuzz (briefly) and, as root, network tests
# make bench              figures against NFQUEUE (root); bench-quick; bench-plots: from them into docs/
# make lint               clang-format, shellcheck and mandoc

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=

CC ?= cc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
B := build
Q := $(if $(V),,@)

CFLAGS ?= -O2 -g
# ./check and the test runners set WERROR. A compiler of tomorrow must not fail who only builds.
WERROR ?=
ERROR := $(if $(WERROR),-Werror)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wno-unused-parameter $(ERROR)
BASE := -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread -DVERSION='"$(VERSION)"' \
	-I. -Iinclude -I$(B) -MMD -MP
ALL_CFLAGS = $(BASE) $(WARN) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
ALL_LDFLAGS = -pthread $(CFLAGS) $(LDFLAGS) $(SANITIZE)

ENGINE := $(patsubst %.c,$(B)/obj/%.o,$(filter-out %.bpf.c,$(wildcard engine/*.c)))
RULES := $(patsubst %.c,$(B)/obj/%.o,$(wildcard rules/*.c))
LIB := $(patsubst %.c,$(B)/obj/%.o,$(wildcard lib/*.c))
INTERPOSE := $(patsubst %.c,$(B)/obj/%.o,$(wildcard interpose/*.c))
TOOLS_COMMON := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tools/*.c))
tool_objects = $(patsubst %.c,$(B)/obj/%.o,$(wildcard tools/$(1)/*.c))

TOOLS := ipfw ipchains divertctl interceptor divert-run
EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(wildcard examples/*.c))

.PHONY: all objects examples install stage test toolchain unit fuzz net bench bench-quick bench-plots bench-needs \
	warnings lint lint-format lint-shell lint-man clean
all: $(addprefix $(B)/bin/,$(TOOLS)) $(B)/lib/libdivert.so $(B)/lib/libdivert-socket.so

# ---- kernel half -------------------------------------------------------

# The places of the C compiler's headers: clang, for its target bpf, does not look where <asm/types.h>
# is for one of several architectures.
BPF_INCLUDES ?= $(addprefix -idirafter ,$(shell $(CC) -E -v -x c /dev/null 2>&1 >/dev/null | \
	sed -n '/^\#include </,/^End/s/^ //p'))
BPF_CFLAGS ?= -O2 -g
ALL_BPF_CFLAGS := $(BPF_CFLAGS) -target bpf -mcpu=v3 -Wall -Wno-unused-function $(ERROR) -I. \
	$(BPF_INCLUDES)

$(B)/engine/%.bpf.o: engine/%.bpf.c $(wildcard engine/*.h) Makefile
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(ALL_BPF_CFLAGS) -c $< -o $@

$(B)/%.skel.h: $(B)/engine/%.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$@.tmp
	$(Q)mv $@.tmp $@

.SECONDARY: $(B)/engine/divert.bpf.o $(B)/engine/train.bpf.o
$(ENGINE): $(B)/divert.skel.h $(B)/train.skel.h

# ---- user half ---------------------------------------------------------

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

$(B)/libengine.a: $(ENGINE)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/librules.a: $(RULES)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/lib/libdivert.so.0: $(LIB) $(B)/librules.a $(B)/libengine.a lib/libdivert.map
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,libdivert.so.0 \
		-Wl,--version-script=lib/libdivert.map -Wl,-z,defs -o $@ \
		$(LIB) $(B)/librules.a $(B)/libengine.a -lbpf -lmnl -luring

$(B)/lib/libdivert-socket.so.0: $(INTERPOSE) $(B)/lib/libdivert.so.0 interpose/libdivert-socket.map
	$(Q)$(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,libdivert-socket.so.0 -Wl,-rpath,'$$ORIGIN' \
		-Wl,--version-script=interpose/libdivert-socket.map -Wl,-z,defs -o $@ \
		$(INTERPOSE) $(B)/lib/libdivert.so.0 -ldl

$(B)/lib/%.so: $(B)/lib/%.so.0
	$(Q)ln -sf $(<F) $@

CHANGE := $(B)/obj/lib/change.o $(B)/obj/lib/unheard.o
TOOL_LDFLAGS = $(ALL_LDFLAGS) -Wl,-rpath,'$$ORIGIN/../lib'

$(B)/bin/ipfw: $(call tool_objects,ipfw) $(TOOLS_COMMON) $(CHANGE) $(B)/librules.a $(B)/libengine.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_LDFLAGS) -o $@ $^ -lbpf -lmnl

$(B)/bin/ipchains: $(call tool_objects,ipchains) $(TOOLS_COMMON) $(CHANGE) \
		$(B)/obj/lib/chainset.o $(B)/librules.a $(B)/libengine.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_LDFLAGS) -o $@ $^ -lbpf -lmnl

$(B)/bin/divertctl: $(call tool_objects,divertctl) $(TOOLS_COMMON) $(B)/librules.a $(B)/libengine.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_LDFLAGS) -o $@ $^ -lbpf -lmnl

$(B)/bin/interceptor: $(call tool_objects,interceptor) $(TOOLS_COMMON) $(CHANGE) $(B)/librules.a \
		$(B)/libengine.a $(B)/lib/libdivert.so
	@mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_LDFLAGS) -o $@ $^ -lpcap -lbpf -lmnl

$(B)/bin/divert-run: $(call tool_objects,divert-run) $(TOOLS_COMMON)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_LDFLAGS) -o $@ $^

# For a C library or a processor whose libbpf, libmnl and liburing are not at hand (tests/toolchain).
objects: $(ENGINE) $(RULES) $(LIB) $(INTERPOSE) $(TOOLS_COMMON) $(foreach t,$(TOOLS),$(call tool_objects,$(t)))

# ---- examples ----------------------------------------------------------

# As their users build them, with the flags of the pkg-config files that are installed.
$(B)/examples/borrow: PACKAGE := libdivert
$(B)/examples/%: PACKAGE := libdivert-socket
examples: $(EXAMPLES)
$(B)/examples/%: examples/%.c examples/common.h stage
	@mkdir -p $(@D)
	$(Q)$(CC) -Wall -Wextra $(ERROR) $(CPPFLAGS) $(CFLAGS) -pthread -o $@ $< $(LDFLAGS) \
		$$(PKG_CONFIG_PATH=$(STAGE)/lib/pkgconfig pkg-config --cflags --libs $(PACKAGE))

# ---- install -----------------------------------------------------------

D = $(DESTDIR)$(PREFIX)

install: all
	$(Q)install -d $(D)/bin $(D)/sbin $(D)/lib/pkgconfig $(D)/include/divert-compat $(D)/share/man
	install -m 755 $(B)/bin/divert-run $(B)/bin/interceptor $(D)/bin
	install -m 755 $(B)/bin/ipfw $(B)/bin/ipchains $(B)/bin/divertctl $(D)/sbin
	ln -sf ipchains $(D)/sbin/ipchains-save
	ln -sf ipchains $(D)/sbin/ipchains-restore
	install -m 755 $(B)/lib/libdivert.so.0 $(B)/lib/libdivert-socket.so.0 $(D)/lib
	ln -sf libdivert.so.0 $(D)/lib/libdivert.so
	ln -sf libdivert-socket.so.0 $(D)/lib/libdivert-socket.so
	install -m 644 include/divert.h $(D)/include
	cp -R include/compat/. $(D)/include/divert-compat/
	for p in packaging/*.pc.in; do \
		sed -e 's|@PREFIX@|$(PREFIX)|;s|@VERSION@|$(VERSION)|' $$p \
			>$(D)/lib/pkgconfig/$$(basename $$p .in) || exit 1; done
	for m in man/*.[1-8]; do s=$${m##*.}; install -d $(D)/share/man/man$$s && \
		install -m 644 $$m $(D)/share/man/man$$s || exit 1; done

	install -d $(D)/lib/systemd/system $(D)/lib/udev/rules.d
	sed 's|@PREFIX@|$(PREFIX)|' packaging/ipfw.service.in >$(D)/lib/systemd/system/ipfw.service
	sed 's|@PREFIX@|$(PREFIX)|' packaging/60-ipdivert.rules.in >$(D)/lib/udev/rules.d/60-ipdivert.rules
	install -d $(D)/share/bash-completion/completions $(D)/share/zsh/site-functions
	packaging/completion/words man packaging/completion/ipdivert.bash.in \
		>$(D)/share/bash-completion/completions/ipfw
	for t in ipchains ipchains-save ipchains-restore divertctl interceptor divert-run; do \
		ln -sf ipfw $(D)/share/bash-completion/completions/$$t || exit 1; done
	packaging/completion/words man packaging/completion/_ipdivert.in \
		>$(D)/share/zsh/site-functions/_ipdivert
	install -d $(D)/share/doc/ipdivert/examples
	install -m 644 packaging/ipfw.rules $(D)/share/doc/ipdivert
	install -m 644 examples/* $(D)/share/doc/ipdivert/examples

# What the tests run: an installed tree.
STAGE := $(abspath $(B)/stage)
stage: all
	$(MAKE) --no-print-directory install PREFIX=$(STAGE) DESTDIR= >/dev/null

# ---- tests -------------------------------------------------------------

test: toolchain unit fuzz net

unit:
	tests/unit/run
fuzz:
	tests/fuzz/run
net: stage
	tests/net/run
toolchain: stage
	tests/toolchain/run

bench: bench-needs stage
	bench/run
bench-quick: bench-needs stage
	bench/run --quick
bench-plots: bench-needs
	bench/publish $(or $(RESULTS),$(B)/bench/results.json)
bench-needs:
	$(Q)bash -c '. packaging/deps.sh && need_packages build bench'

# What the test runners compile with.
warnings:
	@echo $(WARN) -Werror

# howto.c is an old program as it was.
C_FILES = $(shell find . \( -name build -o -name .git \) -prune -o -name '*.[ch]' \
	! -path ./tests/net/progs/howto.c -print)
SCRIPTS = $(shell grep -rlIE --exclude-dir=build --exclude-dir=.git --exclude=Makefile \
	'^(\#!.*\b(ba)?sh$$|\# shellcheck shell=)' .)
lint: lint-format lint-shell lint-man
lint-format:
	$(Q)clang-format --dry-run -Werror $(C_FILES)
lint-shell:
	$(Q)shellcheck -x -S warning $(SCRIPTS)
lint-man:
	$(Q)mandoc -Tlint -W warning man/*.[1-8]

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)
