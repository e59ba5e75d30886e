/* SPDX-License-Identifier: BSD-2-Clause */
/* A bare system (debootstrap) has no /etc/hosts: what needs a name from there is skipped then. */
#ifndef RF_TESTS_HOSTS_H
#define RF_TESTS_HOSTS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static inline bool hosts_has_localhost(void)
{
	FILE *f = fopen("/etc/hosts", "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strncmp(line, "127.0.0.1", 9) == 0 && strstr(line, "localhost");
	if (f)
		fclose(f);
	if (!found)
		printf("skipped: /etc/hosts does not name localhost\n");
	return found;
}

#endif
