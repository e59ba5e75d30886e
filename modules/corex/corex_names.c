/* SPDX-License-Identifier: BSD-2-Clause */
/* Names that the script's author knows better than DNS: domains that are this server with all under them, and records given in the script or a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/net/dns.h"
#include "core/net/myself.h"
#include "core/settings/schema.h"
#include "modules/corex/corex_priv.h"

#define SUBDOMAINS_MAX 64u
#define DNS_RECORDS_MAX 256u
#define DNS_LINE_MAX 1024
#define YEAR_S (365u * 86400)

struct record { /* all of one type for one name */
	enum dns_type type;
	char name[DNS_NAME_MAX + 1];
	bool permanent;
	struct dns_set set;
};

static struct {
	struct {
		enum sip_proto proto;
		struct str domain;
		uint16_t port;
	} sub[SUBDOMAINS_MAX];
	unsigned n_sub;
	struct record *dns[DNS_RECORDS_MAX];
	unsigned n_dns;
} g;

/* ---- alias_subdomains ---- */

/* "[proto:]domain[:port]" */
int corex_add_subdomains(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	ptrdiff_t colon = str_find_char(s, ':');
	enum sip_proto proto = colon > 0 ? sip_proto_lookup(str_sub(s, 0, (size_t)colon)) : SIP_PROTO_NONE;
	uint32_t port = 0;

	(void)conf, (void)set, (void)i; /* one list, of texts */
	if (proto != SIP_PROTO_NONE) {
		s = str_sub(s, (size_t)colon + 1, s.n);
		colon = str_find_char(s, ':');
	}
	if (colon >= 0 && (num_u32(str_sub(s, (size_t)colon + 1, s.n), &port) < 0 || port == 0 || port > 65535))
		return diag_set(reterr, 0, "[proto:]domain[:port] expected");
	if (colon >= 0)
		s = str_sub(s, 0, (size_t)colon);
	if (s.n == 0)
		return diag_set(reterr, 0, "[proto:]domain[:port] expected");
	if (g.n_sub == SUBDOMAINS_MAX)
		return diag_set(reterr, 0, "more than %u domains", SUBDOMAINS_MAX);
	g.sub[g.n_sub].proto = proto;
	g.sub[g.n_sub].domain = s;
	g.sub[g.n_sub++].port = (uint16_t)port;
	return 0;
}

static bool is_subdomain(struct str host, uint16_t port, enum sip_proto proto)
{
	for (unsigned i = 0; i < g.n_sub; i++) {
		struct str d = g.sub[i].domain;

		if ((g.sub[i].port && port && g.sub[i].port != port) || (g.sub[i].proto != SIP_PROTO_NONE && proto != SIP_PROTO_NONE && g.sub[i].proto != proto))
			continue;
		if (host.n >= d.n && str_ieq(str_sub(host, host.n - d.n, d.n), d) && (host.n == d.n || host.s[host.n - d.n - 1] == '.'))
			return true;
	}
	return false;
}

/* ---- dns_cache, dns_file ---- */

struct given { /* one record, as written */
	enum dns_type type;
	struct str name, addr;
	uint32_t ttl, priority, weight, port, flags;
};
enum { FLAG_BAD_NAME = 1, FLAG_PERMANENT = 2 };

static int read_pair(struct str one, struct given *ret)
{
	static const struct { const char *name; size_t at; } numbers[] = {
		{ "ttl", offsetof(struct given, ttl) }, { "priority", offsetof(struct given, priority) }, { "weight", offsetof(struct given, weight) },
		{ "port", offsetof(struct given, port) }, { "flags", offsetof(struct given, flags) },
	};
	static const struct { const char *name; enum dns_type type; } types[] = { { "A", DNS_A }, { "AAAA", DNS_AAAA }, { "SRV", DNS_SRV } };
	ptrdiff_t eq = str_find_char(one, '=');
	struct str key = str_sub(one, 0, eq < 0 ? one.n : (size_t)eq), value = eq < 0 ? STR_NULL : str_sub(one, (size_t)eq + 1, one.n);

	if (str_eq(key, STR_LIT("name"))) {
		ret->name = value;
		return 0;
	}
	if (str_eq(key, STR_LIT("addr"))) {
		ret->addr = value;
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_LEN(types) && str_eq(key, STR_LIT("type")); i++) {
		if (str_ieq(value, str_lit(types[i].name))) {
			ret->type = types[i].type;
			return 0;
		}
	}
	for (unsigned i = 0; i < ARRAY_LEN(numbers); i++)
		if (str_eq(key, str_lit(numbers[i].name)))
			return num_u32(value, (uint32_t *)(void *)((char *)ret + numbers[i].at));
	return -EINVAL;
}

static uint8_t lower(struct str s, char out[DNS_NAME_MAX])
{
	str_lower(s, out);
	return (uint8_t)s.n;
}

static bool name_ok(struct str s)
{
	return s.n > 0 && s.n <= DNS_NAME_MAX;
}

static int record_of(const struct given *in, struct dns_rr *ret, struct diag *reterr)
{
	struct net_addr ip;

	*ret = (struct dns_rr){ .order = (uint16_t)in->priority, .weight = (uint16_t)in->weight, .port = (uint16_t)in->port };
	if (!name_ok(in->name))
		return diag_set(reterr, 0, "name= expected");
	if (in->priority > 65535 || in->weight > 65535 || in->port > 65535 || in->flags > (FLAG_BAD_NAME | FLAG_PERMANENT))
		return diag_set(reterr, 0, "priority, weight and port are 0 to 65535, flags 0 to 3");
	if (in->flags & FLAG_BAD_NAME)
		return 0;
	if (in->type == DNS_SRV) {
		if (!name_ok(in->addr) || in->port == 0)
			return diag_set(reterr, 0, "type=SRV: addr=, the name it leads to, and port= expected");
		ret->name_n = lower(in->addr, ret->name);
		return 0;
	}
	if (in->addr.n == 0 || net_addr_parse(in->addr, 0, &ip) < 0 || (ip.family == AF_INET6) != (in->type == DNS_AAAA))
		return diag_set(reterr, 0, "a name and an address of its type expected");
	memcpy(ret->ip, ip.ip, in->type == DNS_A ? 4 : 16);
	return 0;
}

/* The records of that type and name; NULL: there is no room. */
static struct record *records_at(enum dns_type type, struct str name)
{
	struct record *r;

	for (unsigned i = 0; i < g.n_dns; i++)
		if (g.dns[i]->type == type && str_ieq(str_lit(g.dns[i]->name), name))
			return g.dns[i];
	r = g.n_dns < DNS_RECORDS_MAX ? calloc(1, sizeof(*r)) : NULL;
	if (!r)
		return NULL;
	r->type = type;
	(void)lower(name, r->name);
	g.dns[g.n_dns++] = r;
	return r;
}

static int add_record(struct str s, struct diag *reterr)
{
	struct given in = { .type = DNS_A };
	struct record *r;
	struct dns_rr rr;
	int err;

	while (s.n) {
		ptrdiff_t semi = str_find_char(s, ';');
		struct str one = str_trim(semi < 0 ? s : str_sub(s, 0, (size_t)semi));

		s = semi < 0 ? STR_NULL : str_sub(s, (size_t)semi + 1, s.n);
		if (one.n && read_pair(one, &in) < 0)
			return diag_set(reterr, 0, "\"%.*s\": name=, type=A, AAAA or SRV, addr=, and the numbers ttl=, priority=, weight=, port=, flags= expected",
					STR_FMT(one));
	}
	err = record_of(&in, &rr, reterr);
	if (err < 0)
		return err;
	r = records_at(in.type, in.name);
	if (!r || r->set.n == DNS_RRS_MAX)
		return diag_set(reterr, 0, "more than %u names, or %u records of one", DNS_RECORDS_MAX, DNS_RRS_MAX);
	r->set.ttl_s = in.ttl ? in.ttl : YEAR_S;
	r->permanent = r->permanent || (in.flags & FLAG_PERMANENT);
	if (in.flags & FLAG_BAD_NAME)
		r->set.err = -ENOENT;
	else
		r->set.rr[r->set.n++] = rr;
	return 0;
}

int corex_add_dns(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)conf, (void)set, (void)i; /* one list, of texts */
	return add_record(s, reterr);
}

int corex_add_dns_file(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	char path[512], line[DNS_LINE_MAX];
	struct diag why = { 0 };
	unsigned n = 0;
	int err = 0;
	FILE *f;

	(void)conf, (void)set, (void)i; /* one list, of texts */
	if (s.n == 0 || s.n >= sizeof(path))
		return diag_set(reterr, 0, "the path of a file expected");
	memcpy(path, s.s, s.n);
	path[s.n] = '\0';
	f = fopen(path, "re");
	if (!f)
		return diag_set(reterr, 0, "dns_file %s: %s", path, strerror(errno));
	while (err == 0 && fgets(line, sizeof(line), f)) {
		struct str text = str_trim(str_lit(line));

		n++;
		if (text.n == 0 || text.s[0] == '#')
			continue;
		if (strlen(line) == sizeof(line) - 1)
			err = diag_set(&why, 0, "longer than %d bytes", DNS_LINE_MAX - 2);
		else
			err = add_record(text, &why);
	}
	if (err == 0 && ferror(f))
		err = diag_set(&why, 0, "%s", strerror(errno)); /* a folder, too, can be opened */
	(void)fclose(f);
	return err < 0 ? diag_set(reterr, 0, "dns_file %s:%u: %s", path, n, why.text) : 0;
}

/* ---- start ---- */

int corex_names_init(void)
{
	int err = g.n_sub ? net_myself_register(is_subdomain) : 0;

	if (err < 0)
		return log_fail(err, "corex: alias_subdomains");
	if (g.n_dns && !dns_cache_exists())
		return log_fail(-ENOENT, "corex: dns_cache: use_dns_cache is off");
	for (unsigned i = 0; i < g.n_dns; i++) {
		struct record *r = g.dns[i];

		if (!r->permanent)
			dns_cache_put(r->type, str_lit(r->name), &r->set);
		else if (dns_cache_pin(r->type, str_lit(r->name), &r->set) < 0)
			return log_fail(-ENOSPC, "corex: dns_cache: too many permanent records");
	}
	return 0;
}

void corex_names_done(void)
{
	while (g.n_dns)
		free(g.dns[--g.n_dns]);
}
