/* SPDX-License-Identifier: BSD-2-Clause */
/* name-addr / addr-spec with header parameters: From, To, Contact, Route, Record-Route, Path, P-Asserted-Identity ... */
#ifndef RF_SIP_ADDR_H
#define RF_SIP_ADDR_H

#include "core/sip/uri.h"

struct strbuf;

struct sip_addr {
	struct str text;    /* the whole value, trimmed */
	struct str display; /* including its quotes, if any; n 0 when absent */
	struct str uri;     /* between <> or bare */
	struct str params;  /* header parameters, without the first ';' */
	struct str tag;     /* value of the tag parameter */
	bool bracketed;
	bool star;          /* Contact: * */
};

/* One value. Bare addr-spec: parameters after it are header parameters (RFC 3261, 20). Returns 0 or -EBADMSG. */
MUST_CHECK int sip_addr_parse(struct str in, struct sip_addr *ret_addr, struct diag *reterr);
/* Takes the next value off a comma-separated list. Returns 1, 0 at the end, -EBADMSG. */
MUST_CHECK int sip_addr_next(struct str *rest, struct sip_addr *ret_addr, struct diag *reterr);
/* Takes the next comma-separated element (quotes and <> respected) off *rest. Returns 1, 0, -EBADMSG. */
MUST_CHECK int sip_list_next(struct str *rest, struct str *ret_item);

/* ";q=0.7": no more digits than it needs. q: 0 to 1000. */
void sip_q_add(struct strbuf *sb, int q);

#endif
