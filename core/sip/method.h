/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods. Values are Kamailio's, since scripts see them ($rmid) and tables store them (methods column). */
#ifndef RF_SIP_METHOD_H
#define RF_SIP_METHOD_H

#include "core/base/str.h"

enum sip_method {
	SIP_M_INVITE = 1, SIP_M_CANCEL = 2, SIP_M_ACK = 4, SIP_M_BYE = 8, SIP_M_INFO = 16, SIP_M_REGISTER = 32,
	SIP_M_SUBSCRIBE = 64, SIP_M_NOTIFY = 128, SIP_M_MESSAGE = 256, SIP_M_OPTIONS = 512, SIP_M_PRACK = 1024,
	SIP_M_UPDATE = 2048, SIP_M_REFER = 4096, SIP_M_PUBLISH = 8192, SIP_M_KDMQ = 16384, SIP_M_OTHER = 1 << 30
};

/* Exact, case-sensitive (RFC 3261, 7.1); SIP_M_OTHER when unknown. */
enum sip_method sip_method_lookup(struct str name);
/* "INVITE"; NULL for SIP_M_OTHER and combinations. */
const char *sip_method_name(enum sip_method m);

#endif
