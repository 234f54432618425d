/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the BSDs and macOS have the link types (DLT_RAW) that programs such as ipfwpcap write into
 * capture files. On Linux libpcap has them.
 */
#ifndef DIVERT_COMPAT_NET_BPF_H
#define DIVERT_COMPAT_NET_BPF_H

#pragma GCC system_header

#include <pcap/bpf.h>

#endif
