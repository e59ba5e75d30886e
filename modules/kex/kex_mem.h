/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands pkg.* and mod.* of kex. */
#ifndef RF_MODULES_KEX_MEM_H
#define RF_MODULES_KEX_MEM_H

struct rpc;

void kex_pkg_stats(struct rpc *rpc);
void kex_pkg_info(struct rpc *rpc);
void kex_mod_stats(struct rpc *rpc);
void kex_mod_statsx(struct rpc *rpc);

#endif
