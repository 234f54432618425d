# SPDX-License-Identifier: BSD-2-Clause
#
# make                    everything into build/ (V=1: with the commands; WERROR=1: warnings are
#                         errors). It heeds CC, CLANG, AR, CPPFLAGS, CFLAGS and LDFLAGS (clang's
#                         -flto: AR=llvm-ar). BPF_CFLAGS are for the kernel half
# make install            PREFIX=/usr/local DESTDIR= and the directories below
# make uninstall          with the same values: removes what install put there
# make examples           examples/, against the tree in build/stage
# make test               toolchain, unit, fuzz (briefly) and, as root, network tests
# make bench              figures against NFQUEUE (root); bench-quick;
#                         bench-plots: from the figures into docs/
# make lint               clang-format, shellcheck and mandoc

VERSION := 0.2.0
PREFIX ?= /usr/local
DESTDIR ?=
DIRS := BINDIR SBINDIR LIBDIR MANDIR UNITDIR UDEVDIR
# The recipes do not quote them: with "/a b", uninstall would remove files in /a.
$(foreach v,CURDIR DESTDIR PREFIX $(DIRS),$(if $(word 2,$($v)),\
	$(error $v is '$($v)': take a directory without a space in its name)))
override PREFIX := $(patsubst %/,%,$(abspath $(PREFIX)))
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
UDEVDIR ?= $(PREFIX)/lib/udev/rules.d
$(foreach v,$(DIRS),$(if $(filter-out /%,$($v)),$(error $v is '$($v)': it has to begin with /)))

CC ?= cc
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
B := build
Q := $(if $(V),,@)

CFLAGS ?= -O2 -g
# ./check and the test runners set WERROR. A future compiler's warnings must not stop those who only
# build.
WERROR ?=
ERROR := $(if $(WERROR),-Werror)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wno-unused-parameter $(ERROR)
# The build is the same from any directory: no file contains the path where it was built.
RELATIVE := -ffile-prefix-map=$(CURDIR)=.
BASE := -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread -DVERSION='"$(VERSION)"' \
	-I. -Iinclude -I$(B) -MMD -MP $(RELATIVE)
ALL_CFLAGS = $(BASE) $(WARN) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
ALL_LDFLAGS = -pthread $(RELATIVE) $(CFLAGS) $(LDFLAGS) $(SANITIZE)

ENGINE := $(patsubst %.c,$(B)/obj/%.o,$(filter-out %.bpf.c,$(wildcard engine/*.c)))
RULES := $(patsubst %.c,$(B)/obj/%.o,$(wildcard rules/*.c))
RULESET := $(patsubst %.c,$(B)/obj/%.o,$(wildcard ruleset/*.c))
LIB := $(patsubst %.c,$(B)/obj/%.o,$(wildcard lib/*/*.c))
INTERPOSE := $(patsubst %.c,$(B)/obj/%.o,$(wildcard interpose/*.c))
TOOLS_COMMON := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tools/*.c))
tool_objects = $(patsubst %.c,$(B)/obj/%.o,$(wildcard tools/$(1)/*.c))

TOOLS := ipfw ipchains divertctl interceptor divert-run
EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(wildcard examples/*.c))

.PHONY: all objects examples install install-files uninstall stage test toolchain unit fuzz net \
	bench bench-quick bench-plots bench-needs warnings lint lint-format lint-columns lint-shell lint-man clean
all: $(addprefix $(B)/bin/,$(TOOLS)) $(B)/lib/libdivert.so $(B)/lib/libdivert-socket.so

# ---- kernel half -------------------------------------------------------

# The directories of the C compiler's headers. For its target bpf, clang does not look where
# <asm/types.h> is for one of several architectures.
BPF_INCLUDES ?= $(addprefix -idirafter ,$(shell $(CC) -E -v -x c /dev/null 2>&1 >/dev/null | \
	sed -n '/^\#include </,/^End/s/^ //p'))
BPF_CFLAGS ?= -O2 -g
ALL_BPF_CFLAGS := $(BPF_CFLAGS) -target bpf -mcpu=v3 -Wall -Wno-unused-function $(ERROR) -I. \
	$(RELATIVE) $(BPF_INCLUDES)

$(B)/engine/%.bpf.o: engine/%.bpf.c $(wildcard engine/*.h) Makefile
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(ALL_BPF_CFLAGS) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(B)/%.skel.h: $(B)/engine/%.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$@.tmp
	$(Q)mv $@.tmp $@

.SECONDARY: $(B)/engine/divert.bpf.o $(B)/engine/bulk.bpf.o
$(ENGINE): $(B)/divert.skel.h $(B)/bulk.skel.h

# ---- user half ---------------------------------------------------------

# The relative path from BINDIR to LIBDIR: by it, programs find the libraries installed with them.
# It is empty below /usr, where the loader finds them. A file holds it, so that what contains it is
# built again after a change.
RPATH := $(if $(filter-out /usr,$(PREFIX)),$(shell realpath -sm --relative-to=$(BINDIR) $(LIBDIR)))
$(B)/rpath: force
	@mkdir -p $(@D)
	@echo '$(RPATH)' | cmp -s - $@ || echo '$(RPATH)' >$@
.PHONY: force
$(B)/bin/interceptor $(B)/lib/libdivert-socket.so.0 $(B)/obj/tools/divert-run/main.o: $(B)/rpath
$(B)/obj/tools/divert-run/main.o: BASE += -DLIBRARY_DIR='"$(RPATH)"'

# TLS descriptors for thread-local variables. dlopen(3) can load such a library at any time, and the
# variables cost hardly anything if it was loaded at the start. On x86-64, GCC needs an option for
# them. Before glibc 2.40 the first use of one may change vector registers, so these files use none.
# For other compilers, their default is right, too.
TLS := $(shell echo 'static __thread int i; int *f(void) { return &i; }' | \
	$(CC) -mtls-dialect=gnu2 -mgeneral-regs-only -fPIC -x c -c -o /dev/null - 2>/dev/null && \
	echo -mtls-dialect=gnu2 -mgeneral-regs-only)
$(addprefix $(B)/obj/lib/,core/biased_lock.o core/iface.o inject/bulk.o): ALL_CFLAGS += $(TLS)

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

$(B)/libengine.a: $(ENGINE)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/librules.a: $(RULES)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/libruleset.a: $(RULESET)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

# The libraries that read and change rules and put them in place.
RULE_LIBS := $(B)/libruleset.a $(B)/librules.a $(B)/libengine.a

$(B)/lib/libdivert.so.0: $(LIB) $(RULE_LIBS) lib/libdivert.map
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,libdivert.so.0 \
		-Wl,--version-script=lib/libdivert.map -Wl,-z,defs -Wl,-z,nodelete -o $@ \
		$(LIB) $(RULE_LIBS) -lbpf -lmnl -luring

# The functions that libdivert-socket replaces. Objects linked with its flags call them by names of
# its own, wherever it stands in the look-up order: a plugin is loaded into a program that had the C
# library first.
WRAPPED := $(filter-out __wrap_*,$(subst ;,,$(shell sed -n '/^global:/,/^local:/s/^	//p' \
	interpose/libdivert-socket.map)))
comma := ,
WRAP_FLAGS = $(subst $(eval) ,,$(foreach f,$(WRAPPED),$(comma)--wrap=$(f)))

$(B)/lib/libdivert-socket.so.0: $(INTERPOSE) $(B)/lib/libdivert.so.0 interpose/libdivert-socket.map
	$(Q)$(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,libdivert-socket.so.0 \
		$(RPATH:%=-Wl,-rpath,'$$ORIGIN') \
		-Wl,-Bsymbolic-functions $(foreach f,$(WRAPPED),-Wl,--defsym=__wrap_$(f)=$(f)) \
		-Wl,--version-script=interpose/libdivert-socket.map -Wl,-z,defs -Wl,-z,nodelete -o $@ \
		$(INTERPOSE) $(B)/lib/libdivert.so.0 -ldl

$(B)/lib/%.so: $(B)/lib/%.so.0
	$(Q)ln -sf $(<F) $@

$(B)/bin/ipfw: $(call tool_objects,ipfw) $(TOOLS_COMMON) $(RULE_LIBS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lbpf -lmnl

$(B)/bin/ipchains: $(call tool_objects,ipchains) $(TOOLS_COMMON) $(RULE_LIBS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lbpf -lmnl

$(B)/bin/divertctl: $(call tool_objects,divertctl) $(TOOLS_COMMON) $(RULE_LIBS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lbpf -lmnl

$(B)/bin/interceptor: $(call tool_objects,interceptor) $(TOOLS_COMMON) $(RULE_LIBS) \
		$(B)/lib/libdivert.so
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $(RPATH:%=-Wl,-rpath,'$$ORIGIN/%') -o $@ $(filter-out $(B)/rpath,$^) \
		-lpcap -lbpf -lmnl

$(B)/bin/divert-run: $(call tool_objects,divert-run) $(TOOLS_COMMON) $(RULE_LIBS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lbpf -lmnl

# For a C library or an architecture without libbpf, libmnl and liburing at hand (tests/toolchain).
objects: $(ENGINE) $(RULES) $(RULESET) $(LIB) $(INTERPOSE) $(TOOLS_COMMON) $(foreach t,$(TOOLS),$(call tool_objects,$(t)))

# ---- examples ----------------------------------------------------------

# Built as their users build them, with the flags of the installed pkg-config files.
$(B)/examples/borrow $(B)/examples/events: PACKAGE := libdivert
$(B)/examples/%: PACKAGE := libdivert-socket
examples: $(EXAMPLES)
$(B)/examples/%: examples/%.c examples/common.h stage
	@mkdir -p $(@D)
	$(Q)$(CC) -Wall -Wextra $(ERROR) $(CPPFLAGS) $(CFLAGS) -pthread -o $@ $< $(LDFLAGS) \
		$$(PKG_CONFIG_PATH=$(STAGE)/lib/pkgconfig pkg-config --cflags --libs $(PACKAGE))

# ---- install -----------------------------------------------------------

D = $(DESTDIR)$(PREFIX)
DOC = $(D)/share/doc/ipdivert
BASH_COMPLETION = $(D)/share/bash-completion/completions
ZSH_COMPLETION = $(D)/share/zsh/site-functions
PLACES = sed 's|@PREFIX@|$(PREFIX)|; s|@SBINDIR@|$(SBINDIR)|; s|@VERSION@|$(VERSION)|; \
	s|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|; \
	s|@RPATH@|$(RPATH:%=-Wl,-rpath,$${libdir} )|; s|@WRAP@|$(WRAP_FLAGS)|'

# umask 022: directories for everybody, and files that are written here, get the usual modes, too.
install: all
	$(Q)umask 022 && $(MAKE) --no-print-directory install-files

install-files:
	$(Q)mkdir -p $(addprefix $(DESTDIR),$(BINDIR) $(SBINDIR) $(LIBDIR)/pkgconfig $(UNITDIR) $(UDEVDIR)) \
		$(D)/include $(DOC)/examples $(BASH_COMPLETION) $(ZSH_COMPLETION)
	install -m 755 $(B)/bin/divert-run $(B)/bin/interceptor $(DESTDIR)$(BINDIR)
	install -m 755 $(B)/bin/ipfw $(B)/bin/ipchains $(B)/bin/divertctl $(DESTDIR)$(SBINDIR)
	ln -sf ipchains $(DESTDIR)$(SBINDIR)/ipchains-save
	ln -sf ipchains $(DESTDIR)$(SBINDIR)/ipchains-restore
	install -m 644 $(B)/lib/libdivert.so.0 $(B)/lib/libdivert-socket.so.0 $(DESTDIR)$(LIBDIR)
	ln -sf libdivert.so.0 $(DESTDIR)$(LIBDIR)/libdivert.so
	ln -sf libdivert-socket.so.0 $(DESTDIR)$(LIBDIR)/libdivert-socket.so
	install -m 644 include/divert.h $(D)/include
	for h in $$(cd include/compat && find . -name '*.h'); do \
		install -D -m 644 include/compat/$$h $(D)/include/divert-compat/$$h || exit 1; done
	for p in libdivert libdivert-socket; do \
		$(PLACES) packaging/$$p.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/$$p.pc || exit 1; done
	for m in man/*.[1-8]; do to=$(DESTDIR)$(MANDIR)/man$${m##*.}; \
		mkdir -p $$to && install -m 644 $$m $$to || exit 1; \
		for n in $$(sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([^ ]*\).*/\1/p' $$m); do \
			[ -e $$to/$$n.$${m##*.} ] || ln -sf $${m##*/} $$to/$$n.$${m##*.} || exit 1; \
		done; done
	$(PLACES) packaging/ipfw.service.in >$(DESTDIR)$(UNITDIR)/ipfw.service
	$(PLACES) packaging/ipdivert-metrics.service.in >$(DESTDIR)$(UNITDIR)/ipdivert-metrics.service
	install -m 644 packaging/ipdivert-metrics.timer $(DESTDIR)$(UNITDIR)
	$(PLACES) packaging/60-ipdivert.rules.in >$(DESTDIR)$(UDEVDIR)/60-ipdivert.rules
	packaging/completion/words man packaging/completion/ipdivert.bash.in >$(BASH_COMPLETION)/ipfw
	for t in ipchains ipchains-save ipchains-restore divertctl interceptor divert-run; do \
		ln -sf ipfw $(BASH_COMPLETION)/$$t || exit 1; done
	packaging/completion/words man packaging/completion/_ipdivert.in >$(ZSH_COMPLETION)/_ipdivert
	install -m 644 LICENSE README.md CHANGELOG.md packaging/ipfw.rules $(DOC)
	install -m 644 examples/* $(DOC)/examples

# Install into an empty tree, and remove the same files from the real one. A link is removed only if
# it leads to the same place: others may have a page of that name, which install left alone.
# Directories are removed if they are ipdivert's own, or empty then, unless PREFIX is one of the
# system's.
TREE := $(abspath $(B)/installed)
uninstall:
	$(Q)rm -rf $(TREE)
	$(Q)$(MAKE) --no-print-directory install DESTDIR=$(TREE) >/dev/null
	cd $(TREE) && find . -type f -print0 | (cd $(abspath $(DESTDIR))/ && xargs -0 rm -f)
	cd $(TREE) && find . -type l -printf '%p %l\n' | (cd $(abspath $(DESTDIR))/ && while read -r f to; do \
		[ "$$(readlink "$$f")" != "$$to" ] || rm -f "$$f" || exit 1; done)
	cd $(TREE) && find .$(PREFIX) -mindepth 1 -depth -type d $(if $(filter-out /usr /usr/local,$(PREFIX)),, \
		\( -path '*/divert-compat*' -o -path '*/doc/ipdivert*' \)) -print0 | \
		(cd $(abspath $(DESTDIR))/ && xargs -0 -r rmdir --ignore-fail-on-non-empty 2>/dev/null || true)
	$(Q)rm -rf $(TREE)

# The tests run an installed tree.
STAGE := $(abspath $(B)/stage)
stage: all
	$(Q)$(MAKE) --no-print-directory install DESTDIR= PREFIX=$(STAGE) BINDIR=$(STAGE)/bin \
		SBINDIR=$(STAGE)/sbin LIBDIR=$(STAGE)/lib MANDIR=$(STAGE)/share/man \
		UNITDIR=$(STAGE)/lib/systemd/system UDEVDIR=$(STAGE)/lib/udev/rules.d >/dev/null

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

# The flags that the test runners compile with.
warnings:
	@echo $(WARN) -Werror

# howto.c is an old program in its own style.
C_FILES = $(shell find . \( -name build -o -name .git \) -prune -o -name '*.[ch]' \
	! -path ./tests/net/progs/howto.c -print)
SCRIPTS = $(shell grep -rlIE --exclude-dir=build --exclude-dir=.git --exclude=Makefile \
	'^(\#!.*\b(ba)?sh$$|\# shellcheck shell=)' .)
docs/%.svg: docs/%.dot
	$(Q)dot -Tsvg $< -o $@

lint: lint-format lint-columns lint-shell lint-man
lint-format:
	$(Q)clang-format --dry-run -Werror $(C_FILES)
# clang-format leaves comments as they are. They, too, have at most 100 columns.
lint-columns:
	$(Q)expand $(filter-out ./tests/%,$(C_FILES)) | awk 'length > 100 { print; bad = 1 } END { exit bad }'
lint-shell:
	$(Q)echo $(SCRIPTS) | xargs -n 10 -P "$$(nproc)" shellcheck -x -S warning
lint-man:
	$(Q)mandoc -Tlint -W warning man/*.[1-8]

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)
