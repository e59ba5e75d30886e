/* SPDX-License-Identifier: BSD-2-Clause */
/* The reason phrase of a status code as its RFC gives it. */
#ifndef RF_SIP_REASON_H
#define RF_SIP_REASON_H

/* Any code: one that is not registered gets the phrase of its class; "Unknown" outside 100 to 699. */
const char *sip_reason(unsigned status);

#endif
