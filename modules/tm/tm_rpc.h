/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of group "tm": tm_rpc.c. */
#ifndef RF_MODULES_TM_RPC_H
#define RF_MODULES_TM_RPC_H

#include "core/rpc/rpc.h"

extern const struct rpc_method tm_rpcs[];

#endif
