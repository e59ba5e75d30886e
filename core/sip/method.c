/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of methods to numbers and back. Method names are case-sensitive (RFC 3261, 7.1); the list
 * is ordered by how often a server sees them, and the length is compared first, so that a linear
 * walk costs a few nanoseconds.
 */
#include "core/sip/method.h"

static const struct {
	struct str name;
	enum sip_method method;
} methods[] = {
	{ STR_LIT("REGISTER"), SIP_M_REGISTER },
	{ STR_LIT("INVITE"), SIP_M_INVITE },
	{ STR_LIT("ACK"), SIP_M_ACK },
	{ STR_LIT("BYE"), SIP_M_BYE },
	{ STR_LIT("OPTIONS"), SIP_M_OPTIONS },
	{ STR_LIT("CANCEL"), SIP_M_CANCEL },
	{ STR_LIT("SUBSCRIBE"), SIP_M_SUBSCRIBE },
	{ STR_LIT("NOTIFY"), SIP_M_NOTIFY },
	{ STR_LIT("PUBLISH"), SIP_M_PUBLISH },
	{ STR_LIT("MESSAGE"), SIP_M_MESSAGE },
	{ STR_LIT("INFO"), SIP_M_INFO },
	{ STR_LIT("PRACK"), SIP_M_PRACK },
	{ STR_LIT("UPDATE"), SIP_M_UPDATE },
	{ STR_LIT("REFER"), SIP_M_REFER },
	{ STR_LIT("KDMQ"), SIP_M_KDMQ },
};

enum sip_method sip_method_lookup(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (methods[i].name.n == name.n && memcmp(methods[i].name.s, name.s, name.n) == 0)
			return methods[i].method;
	return SIP_M_OTHER;
}

const char *sip_method_name(enum sip_method m)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (methods[i].method == m)
			return methods[i].name.s;
	return NULL;
}
