/* SPDX-License-Identifier: BSD-2-Clause */
/* Start here: options.c reads the command line, boot.c does the rest as a table of steps. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/main/boot.h"
#include "core/net/handover.h"

/* What is closed of the first three would be the number of a socket or of shared memory, and what is printed would go there. */
static void have_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= STDIN_FILENO && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

int main(int argc, char **argv)
{
	static struct options opts;

	have_standard_fds();
	/* Nothing of who started us is ours: a shell's pipe kept open here would make its reader wait for ever. */
	net_handover_begin();
	switch (options_parse(argc, argv, &opts)) {
	case OPTIONS_EXIT_OK:
		return EXIT_SUCCESS;
	case OPTIONS_EXIT_FAILED:
		return 255;
	default:
		break;
	}
	return opts.cfg_print ? boot_print_config(&opts) : boot_run(&opts);
}
