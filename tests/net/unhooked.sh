#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# net/martian once more, without a hook on r0, as no rule is for packets that come in there. Packets
# that are written inbound still arrive as such, or are counted.
hooked=0
. "$(dirname "$0")/martian.sh"
