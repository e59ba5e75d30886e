/* SPDX-License-Identifier: BSD-2-Clause */
/* modules/jsonrpcs: each transport answers a client in another process; one who never reads hurts nobody. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <unistd.h>

#include "modules/jsonrpcs/jr_priv.h"
#include "tests/lib/free_port.h"
#include "tests/lib/test_main.h"

static uint16_t port[2];
#define TCP_PORT port[0]
#define UDP_PORT port[1]

struct jr_conf jr_conf;
static char dir[64];
static struct loop *loop;
static struct loop_timer *watch, *limit;
static pid_t client;
static int client_status;

void jr_file_note(enum jr_file file)
{
	(void)file;
}

static void t_big(struct rpc *rpc)
{
	static char text[1000];

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < 500; i++)
		rpc_add_str(rpc, NULL, NULL, str_of(text, sizeof(text)));
}

static const struct rpc_method methods[] = { { "t.big", t_big, RPC_RET_ARRAY, NULL }, { .name = NULL } };

/* clang-format off */
static const struct { const char *in; size_t from, len; } docs[] = {
	{ "{}", 0, 2 }, { "  {\"a\":{}} {", 2, 8 }, { "{", 0, 0 }, { "{\"}\"}", 0, 5 }, { "{'}'}", 0, 5 }, { "{\"\\\"}\"}", 0, 7 },
	{ "abc", 3, 0 }, { "", 0, 0 }, { "{\"\\", 0, 0 },
};
/* clang-format on */

START_TEST(document_ends)
{
	struct str in = str_lit(docs[_i].in);
	struct rpc_scan whole = { 0 }, bytewise = { 0 };
	ptrdiff_t len = 0;

	ck_assert_int_eq(jr_doc_end(in, &whole), (ptrdiff_t)docs[_i].len);
	ck_assert_uint_eq(whole.from, docs[_i].from);
	for (size_t n = 1; n <= in.n && len == 0; n++)
		len = jr_doc_end(str_of(in.s, n), &bytewise);
	ck_assert_int_eq(len, (ptrdiff_t)docs[_i].len);
	ck_assert_uint_eq(bytewise.from, docs[_i].from);
}
END_TEST

/* Of a listening socket, as the parameters have it; for ever. */
static struct str address(const char *proto, uint16_t at)
{
	static char text[2][32];
	char *p = text[at == UDP_PORT];

	return str_of(p, (size_t)snprintf(p, sizeof(text[0]), "%s:127.0.0.1:%u", proto, at));
}

static void setup(void)
{
	free_ports(port, ARRAY_LEN(port));
	snprintf(dir, sizeof(dir), "/tmp/rf_jr_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	rpc_run_dir_set(str_lit(dir));
	ck_assert_int_eq(rpc_core_register(), 0);
	ck_assert_int_eq(rpc_register(methods), 0);
	signal(SIGPIPE, SIG_IGN);
	jr_conf = (struct jr_conf){ .pretty_format = 0, .fifo_mode = 0600, .dgram_mode = 0600, .fifo_name = STR_LIT("f"),
				    .dgram_socket = STR_LIT("s"), .tcp_socket = address("tcp", TCP_PORT) };
	jr_conf.fifo_reply_dir = STR_LIT("/tmp/");
	ck_assert_int_eq(jr_sock_check(), 0);
	ck_assert_int_eq(loop_new(&loop), 0);
}

static void teardown(void)
{
	char cmd[128];

	loop_timer_del(watch);
	loop_timer_del(limit);
	watch = limit = NULL;
	loop_free(loop);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const files[] = { "f", "s", "s.stream" };

		snprintf(cmd, sizeof(cmd), "%s/%s", dir, files[i]);
		unlink(cmd);
	}
	rmdir(dir);
}

static void on_watch(void *arg)
{
	(void)arg;
	if (waitpid(client, &client_status, WNOHANG) == client)
		loop_stop(loop);
}

static void on_limit(void *arg)
{
	(void)arg;
	kill(client, SIGKILL);
}

/* Serves until the client, which exits with 0 when content, is done. */
static void serve(void (*fn)(void))
{
	client = fork();
	ck_assert_int_ge(client, 0);
	if (client == 0) {
		alarm(8);
		fn();
		_exit(0);
	}
	ck_assert_int_eq(loop_timer_add(loop, 10, 10, on_watch, NULL, &watch), 0);
	ck_assert_int_eq(loop_timer_add(loop, 8000, 0, on_limit, NULL, &limit), 0);
	loop_run(loop);
	ck_assert(WIFEXITED(client_status));
	ck_assert_int_eq(WEXITSTATUS(client_status), 0);
}

#define ECHO "{\"jsonrpc\":\"2.0\",\"method\":\"core.echo\",\"params\":[\"hello\"],\"id\":5"
#define ANSWER "{\"jsonrpc\":\"2.0\",\"result\":[\"hello\"],\"id\":5}"

static void must(bool ok)
{
	if (!ok)
		_exit(1);
}

static void write_text(int fd, const char *text)
{
	must(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static size_t read_all(int fd, char *out, size_t cap)
{
	size_t n = 0;
	ssize_t got;

	while (n < cap && (got = read(fd, out + n, cap - n)) > 0)
		n += (size_t)got;
	return n;
}

static int request_by_fifo(const char *method_doc, const char *reply)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "/tmp/%s", reply);
	unlink(path);
	must(mkfifo(path, 0600) == 0);
	snprintf(path, sizeof(path), "%s/f", dir);
	fd = open(path, O_WRONLY);
	must(fd >= 0);
	write_text(fd, method_doc);
	close(fd);
	return 0;
}

static void fifo_client(void)
{
	char name[64], doc[512], path[160], got[1024];
	int fd;
	size_t n;

	snprintf(name, sizeof(name), "rf_jr_reply_%d", (int)getpid());
	/* in two pieces, with rubbish before; the reader comes late */
	snprintf(doc, sizeof(doc), "xx\n" ECHO ",\"reply_name\":\"%s\"", name);
	request_by_fifo(doc, name);
	snprintf(path, sizeof(path), "%s/f", dir);
	fd = open(path, O_WRONLY);
	write_text(fd, "}\n");
	close(fd);
	usleep(100000);
	snprintf(path, sizeof(path), "/tmp/%s", name);
	fd = open(path, O_RDONLY);
	must(fd >= 0);
	n = read_all(fd, got, sizeof(got));
	unlink(path);
	must(str_eq(str_of(got, n), STR_LIT(ANSWER)));
}

START_TEST(fifo)
{
	ck_assert_int_eq(jr_fifo_start(loop), 0);
	serve(fifo_client);
}
END_TEST

enum in_the_way { FILE_THERE, DIR_THERE, LINK_THERE, SOCKET_THERE, READ_FIFO_THERE, DEAD_FIFO_THERE, N_IN_THE_WAY };

static void put_in_the_way(enum in_the_way what, const char *path, int *ret_fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = -1;

	if (what == FILE_THERE)
		ck_assert_int_ge(fd = open(path, O_WRONLY | O_CREAT, 0400), 0);
	else if (what == DIR_THERE)
		ck_assert_int_eq(mkdir(path, 0700), 0);
	else if (what == LINK_THERE)
		ck_assert_int_eq(symlink("/nowhere", path), 0);
	else if (what == SOCKET_THERE)
		ck_assert_int_ge(fd = socket(AF_UNIX, SOCK_STREAM, 0), 0);
	else
		ck_assert_int_eq(mkfifo(path, 0600), 0);
	if (what == SOCKET_THERE) {
		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	}
	if (what == READ_FIFO_THERE)
		ck_assert_int_ge(fd = open(path, O_RDWR), 0);
	*ret_fd = fd;
}

/* What somebody else has there stays; only a FIFO that nobody reads goes. */
START_TEST(in_the_way)
{
	static const int errs[N_IN_THE_WAY] = { -EEXIST, -EEXIST, -EEXIST, -EEXIST, -EADDRINUSE, 0 };
	struct stat before, after;
	char path[96];
	int fd = -1;

	snprintf(path, sizeof(path), "%s/f", dir);
	put_in_the_way((enum in_the_way)_i, path, &fd);
	ck_assert_int_eq(lstat(path, &before), 0);
	ck_assert_int_eq(jr_fifo_start(loop), errs[_i]);
	ck_assert_int_eq(lstat(path, &after), 0);
	if (errs[_i])
		ck_assert(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
	else
		ck_assert(S_ISFIFO(after.st_mode));
	if (fd >= 0)
		close(fd);
	if (_i == DIR_THERE)
		rmdir(path);
}
END_TEST

/* Somebody opens his reply FIFO and reads nothing; the next is answered meanwhile. */
static void slow_client(void)
{
	char name[64], doc[512], path[160];
	int fd;

	snprintf(name, sizeof(name), "rf_jr_slow_%d", (int)getpid());
	snprintf(path, sizeof(path), "/tmp/%s", name);
	unlink(path);
	must(mkfifo(path, 0600) == 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	must(fd >= 0);
	snprintf(doc, sizeof(doc), "{\"jsonrpc\":\"2.0\",\"method\":\"t.big\",\"reply_name\":\"%s\"}", name);
	{
		char f[160];
		int out;

		snprintf(f, sizeof(f), "%s/f", dir);
		out = open(f, O_WRONLY);
		must(out >= 0);
		write_text(out, doc);
		close(out);
	}
	usleep(200000);
	fifo_client();
	close(fd);
	unlink(path);
}

START_TEST(slow_reader)
{
	ck_assert_int_eq(jr_fifo_start(loop), 0);
	serve(slow_client);
}
END_TEST

static void unix_client(void)
{
	struct sockaddr_un me = { .sun_family = AF_UNIX }, to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char got[1024];
	ssize_t n;

	snprintf(me.sun_path, sizeof(me.sun_path), "%s/c", dir);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s/s", dir);
	must(bind(fd, (struct sockaddr *)&me, sizeof(me)) == 0);
	must(sendto(fd, "rubbish", 7, 0, (struct sockaddr *)&to, sizeof(to)) == 7);
	must(sendto(fd, ECHO "}", sizeof(ECHO "}") - 1, 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	n = recv(fd, got, sizeof(got), 0);
	unlink(me.sun_path);
	must(n > 0 && str_eq(str_of(got, (size_t)n), STR_LIT(ANSWER)));
}

START_TEST(unix_datagram)
{
	ck_assert_int_eq(jr_dgram_start(loop), 0);
	serve(unix_client);
}
END_TEST

/* Beside the datagram socket: any length, one document, closed. */
static void stream_client(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	static char got[1 << 20];
	int fd;
	size_t n;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/s.stream", dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	must(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	write_text(fd, ECHO);
	write_text(fd, "}");
	n = read_all(fd, got, sizeof(got));
	must(str_eq(str_of(got, n), STR_LIT(ANSWER)));
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	must(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	write_text(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"t.big\"}");
	n = read_all(fd, got, sizeof(got));
	must(n > 500000 && got[n - 1] == '}');
}

START_TEST(unix_stream)
{
	ck_assert_str_eq(jr_sock_path(JR_STREAM) + strlen(dir), "/s.stream");
	ck_assert_int_eq(jr_dgram_start(loop), 0);
	serve(stream_client);
}
END_TEST

/* Not heeded over IP. */
#define STORE ECHO ",\"store_path\":\"f\"}"

static void udp_client(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(UDP_PORT), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char got[1024];
	ssize_t n;

	must(sendto(fd, ECHO "}", sizeof(ECHO "}") - 1, 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	n = recv(fd, got, sizeof(got), 0);
	must(n > 0 && str_eq(str_of(got, (size_t)n), STR_LIT(ANSWER)));
	must(sendto(fd, STORE, sizeof(STORE) - 1, 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	n = recv(fd, got, sizeof(got), 0);
	must(n > 0 && str_eq(str_of(got, (size_t)n), STR_LIT(ANSWER)) && access("f", F_OK) < 0);
}

START_TEST(udp_datagram)
{
	jr_conf.dgram_socket = STR_LIT("udp:127.0.0.1:80");
	ck_assert_int_eq(jr_sock_check(), -EINVAL);
	jr_conf.dgram_socket = address("udp", UDP_PORT);
	ck_assert_int_eq(jr_sock_check(), 0);
	ck_assert_str_eq(jr_sock_path(JR_STREAM), "");
	ck_assert_int_eq(jr_dgram_start(loop), 0);
	serve(udp_client);
}
END_TEST

static void tcp_client(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(TCP_PORT), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	static char got[1 << 20];
	int idle = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	size_t n;

	must(connect(idle, (struct sockaddr *)&to, sizeof(to)) == 0); /* says nothing */
	must(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	write_text(fd, ECHO);
	usleep(20000);
	write_text(fd, "}");
	n = read_all(fd, got, sizeof(got));
	must(str_eq(str_of(got, n), STR_LIT(ANSWER)));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	write_text(fd, STORE);
	n = read_all(fd, got, sizeof(got));
	must(str_eq(str_of(got, n), STR_LIT(ANSWER)) && access("f", F_OK) < 0);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	write_text(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"t.big\"}");
	usleep(100000);
	n = read_all(fd, got, sizeof(got));
	must(n > 500000 && got[n - 1] == '}');
}

START_TEST(tcp)
{
	ck_assert_int_eq(jr_tcp_start(loop), 0);
	serve(tcp_client);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("jsonrpcs");
	TCase *tc = tcase_create("transports");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, document_ends, 0, ARRAY_LEN(docs));
	tcase_add_test(tc, fifo);
	tcase_add_loop_test(tc, in_the_way, 0, N_IN_THE_WAY);
	tcase_add_test(tc, slow_reader);
	tcase_add_test(tc, unix_datagram);
	tcase_add_test(tc, unix_stream);
	tcase_add_test(tc, udp_datagram);
	tcase_add_test(tc, tcp);
	tcase_set_timeout(tc, 15);
	suite_add_tcase(suite, tc);
	return suite;
}
