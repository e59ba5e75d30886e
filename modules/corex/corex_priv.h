/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module corex share: functions by the names that scripts use. */
#ifndef RF_COREX_PRIV_H
#define RF_COREX_PRIV_H

#include "core/net/listener.h"
#include "core/script/func.h"

/* ---- corex_send.c ---- */
script_fn corex_send_udp, corex_send_tcp, corex_send_data, corex_sendx;
/* ---- corex_file.c ---- */
script_fn corex_file_read, corex_file_write;

#endif
