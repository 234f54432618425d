/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is this a source for one of the BSDs? It says so by the compiler's own name for the system, which
 * is then given by hand: -D__FreeBSD__=14.
 */
#ifndef DIVERT_COMPAT_BSD_H
#define DIVERT_COMPAT_BSD_H

#if defined __FreeBSD__ || defined __OpenBSD__ || defined __NetBSD__ || defined __DragonFly__ ||   \
	defined __APPLE__
#define DIVERT_COMPAT_BSD 1
#else
#define DIVERT_COMPAT_BSD 0
#endif

/*
 * A function that older C libraries have not: in the source that calls it, so that it needs no
 * library; a source's own definition replaces it.
 */
#define DIVERT_COMPAT_INLINE                                                                       \
	extern __inline __attribute__((__gnu_inline__, __always_inline__, __artificial__))

#endif
