/* SPDX-License-Identifier: BSD-2-Clause */
/* /etc/hosts. Read once at start: reading files while calls wait is not done here. */
#include "core/net/hosts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HOSTS_MAX 2048u

static struct host { /* a name of a line */
	struct net_addr addr;
	uint8_t name_n;
	char name[DNS_NAME_MAX];
} *hosts;
static unsigned n_hosts;

int net_hosts_find(enum dns_type type, struct str name, struct dns_set *ret_set)
{
	bool known = false;

	if (type != DNS_A && type != DNS_AAAA)
		return -ENOENT;
	ret_set->n = 0;
	for (unsigned i = 0; i < n_hosts; i++) {
		const struct host *h = &hosts[i];

		if (h->name_n != name.n || memcmp(h->name, name.s, name.n) != 0)
			continue;
		known = true;
		if (h->addr.family != (type == DNS_A ? AF_INET : AF_INET6) || ret_set->n == DNS_RRS_MAX)
			continue;
		memset(&ret_set->rr[ret_set->n], 0, sizeof(ret_set->rr[0]));
		memcpy(ret_set->rr[ret_set->n++].ip, h->addr.ip, 16);
	}
	ret_set->err = ret_set->n ? 0 : -ENOENT;
	ret_set->ttl_s = 0;
	return known ? 0 : -ENOENT;
}

bool net_hosts_has(const struct net_addr *addr, struct str name)
{
	for (unsigned i = 0; i < n_hosts; i++)
		if (net_addr_ip_equal(&hosts[i].addr, addr) && str_ieq(str_of(hosts[i].name, hosts[i].name_n), name))
			return true;
	return false;
}

static int hosts_line(char *line)
{
	static const char blank[] = " \t\r\n";
	struct net_addr a;
	char *at = line, *word;
	bool first = true;

	line[strcspn(line, "#")] = 0;
	while ((word = strsep(&at, blank))) {
		struct host *h;

		if (!*word)
			continue;
		if (first && net_addr_parse(str_lit(word), 0, &a) < 0)
			return 0;
		if (!first) {
			if (n_hosts == HOSTS_MAX)
				return -ENOSPC;
			h = &hosts[n_hosts];
			h->addr = a;
			h->name_n = (uint8_t)dns_name_lower(str_lit(word), h->name);
			n_hosts += h->name_n > 0;
		}
		first = false;
	}
	return 0;
}

int net_hosts_read(void)
{
	char line[2048];
	struct host *fit;
	FILE *f;
	int err = 0;

	free(hosts);
	n_hosts = 0;
	hosts = calloc(HOSTS_MAX, sizeof(*hosts));
	if (!hosts)
		return -ENOMEM;
	f = fopen("/etc/hosts", "re");
	if (!f)
		return 0; /* there need not be one */
	while (err == 0 && fgets(line, sizeof(line), f))
		err = hosts_line(line);
	(void)fclose(f);
	fit = realloc(hosts, (n_hosts ? n_hosts : 1) * sizeof(*hosts));
	if (fit)
		hosts = fit;
	return 0; /* what is beyond HOSTS_MAX is asked of the name server */
}
