/* SPDX-License-Identifier: BSD-2-Clause */
/* CSeq (RFC 3261, 20.16). */
#ifndef RF_SIP_CSEQ_H
#define RF_SIP_CSEQ_H

#include "core/base/diag.h"
#include "core/sip/method.h"

struct sip_cseq {
	uint32_t number; /* 0 to 2^31-1 */
	struct str number_text;
	struct str name;
	enum sip_method method;
};

MUST_CHECK int sip_cseq_parse(struct str in, struct sip_cseq *ret_cseq, struct diag *reterr);

#endif
