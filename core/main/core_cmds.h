/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands core.* that ask layers above core/rpc. */
#ifndef RF_MAIN_CORE_CMDS_H
#define RF_MAIN_CORE_CMDS_H

#include "shm/defs.h"

/* Context: before forking. Returns 0 or -ENOSPC. */
MUST_CHECK int main_rpc_register(void);
/* dns.* */
MUST_CHECK int dns_rpc_register(void);
/* udp.proxy.*, with udp_accept_proxy */
MUST_CHECK int proxied_rpc_register(void);
/* modparam.* */
MUST_CHECK int modparam_rpc_register(void);

#endif
