/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of methods to numbers and back. Method names are case-sensitive (RFC 3261, 7.1). First
 * letter and length make a hash without collisions over the list (the compiler warns of one), since
 * an Allow field names nearly all of them.
 */
#include "core/sip/method.h"
#include "core/sip/sip_priv.h"

#define HASH(first, n) (((unsigned char)(first) * 3u + (n)) & 63u)

/* clang-format off */
#define METHODS(X) \
	X(REGISTER, 'R') X(INVITE, 'I') X(ACK, 'A') X(BYE, 'B') X(OPTIONS, 'O') X(CANCEL, 'C') X(SUBSCRIBE, 'S') \
	X(NOTIFY, 'N') X(PUBLISH, 'P') X(MESSAGE, 'M') X(INFO, 'I') X(PRACK, 'P') X(UPDATE, 'U') X(REFER, 'R') X(KDMQ, 'K')

static const struct {
	struct str name;
	enum sip_method method;
} methods[64] = {
#define X(id, first) [HASH(first, sizeof(#id) - 1)] = { STR_LIT(#id), SIP_M_##id },
	METHODS(X)
#undef X
};
/* clang-format on */

enum sip_method sip_method_lookup(struct str name)
{
	unsigned i = name.n > 0 ? HASH(name.s[0], name.n) : 0;

	if (name.n < 2 || methods[i].name.n != name.n || !sip_same_name(name.s, methods[i].name.s, name.n, false))
		return SIP_M_OTHER;
	return methods[i].method;
}

const char *sip_method_name(enum sip_method m)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (methods[i].name.n > 0 && methods[i].method == m)
			return methods[i].name.s;
	return NULL;
}
