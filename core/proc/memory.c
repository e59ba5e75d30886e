/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of a process, from the books of the kernel: there is no manager of private memory that would keep any. */
#include <errno.h>
#include <stdio.h>

#include "core/proc/proc.h"

int proc_memory_of(pid_t pid, struct proc_memory *ret)
{
	char path[64], line[128];
	long long kb;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -ESRCH;
	*ret = (struct proc_memory){ 0 };
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "VmData: %lld kB", &kb) == 1)
			ret->data = kb << 10;
		else if (sscanf(line, "RssAnon: %lld kB", &kb) == 1)
			ret->resident = kb << 10;
	}
	(void)fclose(f);
	return 0;
}
