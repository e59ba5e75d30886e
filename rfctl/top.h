/* SPDX-License-Identifier: BSD-2-Clause */
/* A view of the server: what two answers of core.top, some time apart, say together. */
#ifndef RFCTL_TOP_H
#define RFCTL_TOP_H

#include "rfctl/rfctl.h"

/*
 * Asks the server. Returns as rf_try(); the sample is the caller's. ban_table: whose items are counted, when there is such a table.
 */
int top_sample(struct rfctl *rf, const char *ban_table, json_t **ret_sample, struct rf_reply *ret_why);
/* Rates and percentiles; first may be of an earlier run of the server: then nothing is subtracted. The caller's. */
json_t *top_view(const json_t *first, const json_t *second);
/* The lines of a view, for people; columns: where they are cut, 0: nowhere. bold: headings and warnings stand out. */
void top_print(const json_t *view, unsigned columns, unsigned lines, bool bold);

#endif
