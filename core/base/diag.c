/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps where and why something was refused, for the one who reports it. Formatting is done only
 * when somebody asked (reterr not NULL), so that refusing hostile input on the fast path costs
 * nothing.
 */
#include "core/base/diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

PRINTF_LIKE(3, 0)
static void put(struct diag *reterr, size_t pos, const char *fmt, va_list ap)
{
	reterr->pos = pos;
	reterr->kind = DIAG_OTHER;
	reterr->name[0] = reterr->near[0] = '\0';
	if (vsnprintf(reterr->text, sizeof(reterr->text), fmt, ap) < 0)
		reterr->text[0] = '\0';
}

int diag_set(struct diag *reterr, size_t pos, const char *fmt, ...)
{
	va_list ap;

	if (reterr) {
		va_start(ap, fmt);
		put(reterr, pos, fmt, ap);
		va_end(ap);
	}
	return -EBADMSG;
}

int diag_err(struct diag *reterr, int err, size_t pos, const char *fmt, ...)
{
	va_list ap;

	if (reterr) {
		va_start(ap, fmt);
		put(reterr, pos, fmt, ap);
		va_end(ap);
	}
	return err;
}

int diag_unknown(struct diag *reterr, enum diag_kind kind, size_t pos, struct str name, const char *near, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (!reterr)
		return -ENOENT;
	va_start(ap, fmt);
	put(reterr, pos, fmt, ap);
	va_end(ap);
	reterr->kind = kind;
	snprintf(reterr->name, sizeof(reterr->name), "%.*s", STR_FMT(name));
	if (!near || !near[0])
		return -ENOENT;
	snprintf(reterr->near, sizeof(reterr->near), "%s", near);
	n = strlen(reterr->text);
	snprintf(reterr->text + n, sizeof(reterr->text) - n, " (did you mean '%s'?)", near);
	return -ENOENT;
}
