/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target over stored inputs, without libFuzzer: every file of the folders and files
 * named on the command line; without any, tests/fuzz/corpus/NAME, NAME being the program's own
 * behind "fuzz_". Each input is also tried cut to its halves. Fails when there was no input.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1 << 20)

static unsigned n_run;

static void run_file(const char *path)
{
	static uint8_t input[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(EXIT_FAILURE);
	}
	n = fread(input, 1, sizeof(input), f);
	(void)fclose(f);
	LLVMFuzzerTestOneInput(input, n);
	LLVMFuzzerTestOneInput(input, n / 2);
	LLVMFuzzerTestOneInput(input + n / 2, n - n / 2);
	n_run++;
}

static void run_path(const char *path)
{
	struct stat st;
	DIR *dir;
	struct dirent *e;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	dir = opendir(path);
	while (dir && (e = readdir(dir)) != NULL) {
		char file[4096];
		int n = snprintf(file, sizeof(file), "%s/%s", path, e->d_name);

		if (e->d_name[0] != '.' && n > 0 && (size_t)n < sizeof(file))
			run_file(file);
	}
	if (dir)
		closedir(dir);
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir"), *name = strrchr(argv[0], '/');
	char path[4096];
	int n;

	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	if (argc < 2) {
		name = name ? name + 1 : argv[0];
		if (strncmp(name, "fuzz_", 5) == 0)
			name += 5;
		n = snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".",
		             name);
		if (n > 0 && (size_t)n < sizeof(path))
			run_path(path);
	}
	printf("%u inputs\n", n_run);
	return n_run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
