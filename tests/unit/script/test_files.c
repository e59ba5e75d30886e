/* SPDX-License-Identifier: BSD-2-Clause */
/* core/script/files.c, and loads that take their text from it, step by step: what was read once is what is compiled everywhere. */
#include "tests/unit/script/script_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/rf-files-XXXXXX";
static char main_path[64], inc_path[64];

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	fclose(f);
}

static void setup(void)
{
	st_init();
	memcpy(strrchr(dir, '-') + 1, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(main_path, sizeof(main_path), "%s/main.cfg", dir);
	snprintf(inc_path, sizeof(inc_path), "%s/inc.cfg", dir);
}

static void teardown(void)
{
	unlink(main_path);
	unlink(inc_path);
	rmdir(dir);
	st_done();
}

START_TEST(reads_once_and_travels)
{
	struct script_files *f = script_files_new(AT_FDCWD, SCRIPT_FILES_REGULAR), *g;
	struct str text;

	put(main_path, "one");
	ck_assert_int_eq(script_files_read(f, main_path, &text), 0);
	ck_assert(str_eq(text, STR_LIT("one")));
	ck_assert_int_eq(script_files_read(f, inc_path, &text), -ENOENT);
	put(main_path, "two");
	put(inc_path, "new");
	ck_assert_int_eq(script_files_read(f, main_path, &text), 0);
	ck_assert(str_eq(text, STR_LIT("one")));
	ck_assert_int_eq(script_files_read(f, inc_path, &text), -ENOENT); /* it was not there when the others were read */
	ck_assert_uint_eq(script_files_count(f), 1);

	g = script_files_from(script_files_bytes(f));
	ck_assert_ptr_nonnull(g);
	ck_assert_int_eq(script_files_read(g, main_path, &text), 0);
	ck_assert(str_eq(text, STR_LIT("one")));
	ck_assert_int_eq(script_files_read(g, inc_path, &text), -ENOENT);
	ck_assert_int_eq(script_files_read(g, "/dev/null", &text), -ENOENT); /* never asked for: the disk is not */
	script_files_free(f);
	script_files_free(g);
}
END_TEST

/* At the start a FIFO may be the script; later it would stop who reads it. */
START_TEST(no_file_no_wait)
{
	struct script_files *f = script_files_new(AT_FDCWD, SCRIPT_FILES_REGULAR), *g;
	struct script_opts opts = { .path = main_path };
	struct str text;
	pid_t writer;

	put(main_path, "include_file \"inc.cfg\"\nrequest_route { return 5; }\n");
	ck_assert_int_eq(mkfifo(inc_path, 0600), 0);
	ck_assert_int_eq(script_files_read(f, inc_path, &text), -ESPIPE);
	opts.host = st_host();
	opts.files = f;
	ck_assert_int_lt(script_load(&opts, &st.script, &st.errs), 0);
	ck_assert_ptr_nonnull(strstr(st_error(), "/inc.cfg': not a regular file"));
	st_unload();
	script_files_free(f);

	writer = fork();
	ck_assert_int_ge(writer, 0);
	if (writer == 0) {
		put(inc_path, "from a process");
		_exit(0);
	}
	g = script_files_new(AT_FDCWD, SCRIPT_FILES_ANY);
	ck_assert_int_eq(script_files_read(g, inc_path, &text), 0);
	ck_assert(str_eq(text, STR_LIT("from a process")));
	ck_assert_int_eq(waitpid(writer, NULL, 0), writer);
	script_files_free(g);
}
END_TEST

/* Two places are looked in: the error has both reasons, with the place of the directive; only what is in neither may be missing. */
START_TEST(both_places_are_told)
{
	/* clang-format off */
	static const struct { const char *word; bool odd_first; int err; } cases[] = {
		{ "include_file", false, -EBADMSG }, { "include_file", true, -EBADMSG },
		{ "import_file", false, 0 },         { "import_file", true, -EBADMSG },
	};
	/* clang-format on */
	char start[80], odd[96], text[256], want[512];
	struct script_opts opts = { .path = main_path };
	int dir_fd;

	snprintf(start, sizeof(start), "%s/start", dir);
	snprintf(odd, sizeof(odd), "%s/inc.cfg", start);
	ck_assert_int_eq(mkdir(start, 0700), 0);
	dir_fd = open(start, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir_fd, 0);
	opts.host = st_host();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct script_files *f = script_files_new(dir_fd, SCRIPT_FILES_REGULAR);

		snprintf(text, sizeof(text), "#\n%s \"inc.cfg\"\nrequest_route { return 5; }\n", cases[i].word);
		put(main_path, text);
		if (cases[i].odd_first)
			ck_assert_int_eq(mkfifo(odd, 0600), 0);
		opts.files = f;
		ck_assert_int_eq(script_load(&opts, &st.script, &st.errs), cases[i].err);
		snprintf(want, sizeof(want), "2:%zu: cannot include 'inc.cfg': in the folder of the start: %s; '%s': No such file or directory",
		         strlen(cases[i].word) + 2, cases[i].odd_first ? "not a regular file" : "No such file or directory", inc_path);
		if (cases[i].err < 0)
			ck_assert_msg(strcmp(st_error(), want) == 0, "%s\nwanted %s", st_error(), want);
		st_unload();
		script_files_free(f);
		(void)unlink(odd);
	}
	(void)close(dir_fd);
	ck_assert_int_eq(rmdir(start), 0);
}
END_TEST

START_TEST(damaged_blocks_are_refused)
{
	struct script_files *f = script_files_new(AT_FDCWD, SCRIPT_FILES_REGULAR), *g;
	struct str text, all;
	size_t n, i;
	char *copy;

	put(main_path, "some text of the script");
	put(inc_path, "and of another file");
	ck_assert_int_eq(script_files_read(f, main_path, &text), 0);
	ck_assert_int_eq(script_files_read(f, inc_path, &text), 0);
	all = script_files_bytes(f);
	for (n = 1; n < all.n; n++) { /* cut anywhere: refused, or only the whole first file is there */
		g = script_files_from(str_sub(all, 0, n));
		if (g)
			ck_assert_uint_eq(script_files_count(g), 1);
		script_files_free(g);
	}
	copy = malloc(all.n);
	for (i = 0; i < all.n; i++) {
		memcpy(copy, all.s, all.n);
		copy[i] = (char)(copy[i] ^ 0xff);
		g = script_files_from(str_of(copy, all.n));
		if (g)
			ck_assert_int_le(script_files_read(g, inc_path, &text), 0x7fffffff); /* whatever: no crash */
		script_files_free(g);
	}
	free(copy);
	script_files_free(f);
}
END_TEST

START_TEST(compiles_what_was_read)
{
	struct script_files *f = script_files_new(AT_FDCWD, SCRIPT_FILES_REGULAR), *g;
	struct script_opts opts = { .path = main_path };
	struct script_load *l;
	unsigned steps = 0;

	put(inc_path, "route[A] { return 7; }\n");
	put(main_path, "include_file \"inc.cfg\"\nrequest_route { return 5; }\n");
	opts.host = st_host();
	opts.files = f;
	ck_assert_int_eq(script_load(&opts, &st.script, &st.errs), 0);
	g = script_files_from(script_files_bytes(f));
	put(main_path, "request_route { this is no script\n");
	unlink(inc_path);
	st_unload();

	opts.files = g;
	ck_assert_int_eq(script_load_begin(&opts, &l), 0);
	while (script_load_step(l))
		steps++;
	ck_assert_uint_ge(steps, 4); /* two items, two routes checked, two compiled */
	ck_assert_int_eq(script_load_end(l, &st.script, &st.errs), 0);
	ck_assert_int_eq(st_run_route(CTX_REQUEST, "A"), 7);
	ck_assert_int_eq(st_run_route(CTX_REQUEST, ""), 5);
	st_unload();
	script_files_free(f);
	script_files_free(g);
}
END_TEST

START_TEST(given_up_half_way)
{
	struct script_opts opts = { .path = main_path };
	struct script_load *l;
	unsigned n, k;
	int err = -ECANCELED;

	put(main_path, "flags F:3;\nroute[A] { return 7; }\nrequest_route { if (method =~ \"^a\") { return 5; } route(A); }\n");
	opts.host = st_host();
	for (n = 0; err == -ECANCELED; n++) { /* after each step; the leak check finds what is left */
		ck_assert_uint_lt(n, 100);
		ck_assert_int_eq(script_load_begin(&opts, &l), 0);
		for (k = 0; k < n && script_load_step(l); k++)
			;
		ck_assert_int_eq(script_flag_find(STR_LIT("F")), -1); /* what is half read is nobody's yet */
		err = script_load_end(l, &st.script, &st.errs);
		ck_assert_int_eq(script_flag_find(STR_LIT("F")), err == 0 ? 3 : -1);
	}
	ck_assert_int_eq(err, 0);
	ck_assert_uint_gt(n, 5);
	st_unload();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("files");
	TCase *t = tcase_create("files");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, reads_once_and_travels);
	tcase_add_test(t, no_file_no_wait);
	tcase_add_test(t, both_places_are_told);
	tcase_add_test(t, damaged_blocks_are_refused);
	tcase_add_test(t, compiles_what_was_read);
	tcase_add_test(t, given_up_half_way);
	suite_add_tcase(s, t);
	return s;
}
