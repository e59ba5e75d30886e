/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a DNS answer (RFC 1035, 4.1). c-ares has parsers of its own, but the version we must work
 * with gives no lifetime for SRV and NAPTR. Every read is bounded by the message, compression
 * pointers only lead backwards, and a record counts only when its owner is the name that was asked
 * or an alias of it.
 */
#include <errno.h>

#include "core/net/dns.h"

#define POINTERS_MAX 32u
#define CLASS_IN 1u

struct reader {
	const uint8_t *p;
	size_t n, at;
};

struct name {
	char text[DNS_NAME_MAX];
	size_t n;
};

static int read_u16(struct reader *r, uint16_t *ret)
{
	if (r->n - r->at < 2)
		return -EBADMSG;
	*ret = (uint16_t)(r->p[r->at] << 8 | r->p[r->at + 1]);
	r->at += 2;
	return 0;
}

static int read_u32(struct reader *r, uint32_t *ret)
{
	uint16_t hi, lo;

	if (read_u16(r, &hi) < 0 || read_u16(r, &lo) < 0)
		return -EBADMSG;
	*ret = (uint32_t)hi << 16 | lo;
	return 0;
}

static int read_name(struct reader *r, struct name *ret)
{
	size_t at = r->at, lowest = r->at;
	unsigned jumps = 0;

	ret->n = 0;
	for (;;) {
		unsigned len;

		if (at >= r->n)
			return -EBADMSG;
		len = r->p[at++];
		if (len == 0)
			break;
		if ((len & 0xc0) == 0xc0) {
			if (at >= r->n || ++jumps > POINTERS_MAX)
				return -EBADMSG;
			if (jumps == 1)
				r->at = at + 1;
			at = (len & 0x3f) << 8 | r->p[at];
			if (at >= lowest)
				return -EBADMSG;
			lowest = at;
			continue;
		}
		if ((len & 0xc0) || r->n - at < len || ret->n + len + 1 > sizeof(ret->text))
			return -EBADMSG;
		if (ret->n)
			ret->text[ret->n++] = '.';
		for (unsigned i = 0; i < len; i++) {
			char c = (char)r->p[at++];

			if (c == '.' || c == 0)
				return -EBADMSG; /* legal in a label, but in no host name */
			ret->text[ret->n++] = char_lower(c);
		}
	}
	if (jumps == 0)
		r->at = at;
	return 0;
}

static bool same(const struct name *a, const struct name *b)
{
	return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

static void put_name(struct dns_rr *rr, const struct name *name)
{
	rr->name_n = (uint8_t)name->n;
	memcpy(rr->name, name->text, name->n);
}

/* <character-string>: a length and that many bytes. */
static int read_text(struct reader *r, struct str *ret)
{
	size_t len;

	if (r->at >= r->n)
		return -EBADMSG;
	len = r->p[r->at++];
	if (r->n - r->at < len)
		return -EBADMSG;
	*ret = str_of(r->p + r->at, len);
	r->at += len;
	return 0;
}

/* Returns 1 when the record is one for us, 0 when it is to be left out. */
static int read_naptr(struct reader *r, struct dns_rr *rr)
{
	struct str flags, service, regexp;
	struct name name;

	if (read_u16(r, &rr->order) < 0 || read_u16(r, &rr->weight) < 0 ||
	    read_text(r, &flags) < 0 || read_text(r, &service) < 0 || read_text(r, &regexp) < 0 ||
	    read_name(r, &name) < 0)
		return -EBADMSG;
	if (!str_ieq(flags, STR_LIT("s")) || regexp.n || name.n == 0)
		return 0;
	if (str_ieq(service, STR_LIT("SIP+D2U")))
		rr->service = DNS_SIP_UDP;
	else if (str_ieq(service, STR_LIT("SIP+D2T")))
		rr->service = DNS_SIP_TCP;
	else if (str_ieq(service, STR_LIT("SIPS+D2T")))
		rr->service = DNS_SIPS_TCP;
	else
		return 0;
	put_name(rr, &name);
	return 1;
}

static int read_srv(struct reader *r, struct dns_rr *rr)
{
	struct name name;

	if (read_u16(r, &rr->order) < 0 || read_u16(r, &rr->weight) < 0 ||
	    read_u16(r, &rr->port) < 0 || read_name(r, &name) < 0)
		return -EBADMSG;
	put_name(rr, &name);
	return 1;
}

static int read_record(struct reader *r, size_t len, enum dns_type type, struct dns_rr *rr)
{
	size_t want = type == DNS_A ? 4 : 16;

	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		if (len != want)
			return -EBADMSG;
		memcpy(rr->ip, r->p + r->at, want);
		return 1;
	case DNS_SRV:
		return read_srv(r, rr);
	case DNS_NAPTR:
		return read_naptr(r, rr);
	case DNS_PTR: {
		struct name name;

		if (read_name(r, &name) < 0)
			return -EBADMSG;
		put_name(rr, &name);
		return 1;
	}
	case DNS_CNAME:
		break;
	}
	return 0;
}

int dns_answer_parse(const uint8_t *p, size_t n, enum dns_type type, struct dns_set *ret_set)
{
	struct reader r = { p, n, 4 };
	uint16_t n_questions, n_answers, n_other, qtype, qclass;
	struct name wanted;

	if (n < 12 || read_u16(&r, &n_questions) < 0 || read_u16(&r, &n_answers) < 0 ||
	    read_u16(&r, &n_other) < 0 || read_u16(&r, &n_other) < 0)
		return -EBADMSG;
	if (n_questions != 1 || read_name(&r, &wanted) < 0 || read_u16(&r, &qtype) < 0 ||
	    read_u16(&r, &qclass) < 0)
		return -EBADMSG;
	ret_set->err = 0;
	ret_set->n = 0;
	ret_set->ttl_s = UINT32_MAX;
	for (unsigned i = 0; i < n_answers; i++) {
		uint16_t rtype, rclass, len;
		struct name owner;
		uint32_t ttl;
		size_t end;
		int mine = 0;

		if (read_name(&r, &owner) < 0 || read_u16(&r, &rtype) < 0 ||
		    read_u16(&r, &rclass) < 0 || read_u32(&r, &ttl) < 0 || read_u16(&r, &len) < 0 ||
		    r.n - r.at < len)
			return -EBADMSG;
		end = r.at + len;
		if (ttl > INT32_MAX) /* RFC 2181, 8 */
			ttl = 0;
		if (rclass == CLASS_IN && same(&owner, &wanted) && rtype == DNS_CNAME) {
			if (read_name(&r, &wanted) < 0)
				return -EBADMSG;
			mine = 2;
		} else if (rclass == CLASS_IN && same(&owner, &wanted) && rtype == type &&
		           ret_set->n < DNS_RRS_MAX) {
			struct dns_rr *rr = &ret_set->rr[ret_set->n];

			memset(rr, 0, sizeof(*rr));
			mine = read_record(&r, len, type, rr);
			if (mine < 0)
				return mine;
			ret_set->n += (unsigned)mine;
		}
		if (mine && ttl < ret_set->ttl_s)
			ret_set->ttl_s = ttl;
		if (r.at > end)
			return -EBADMSG;
		r.at = end;
	}
	if (ret_set->n == 0)
		ret_set->err = -ENOENT;
	return 0;
}
