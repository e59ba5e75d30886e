/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Built-in keepalive: worker 0 goes round the tables and asks each contact with an OPTIONS, so that its NAT keeps the way open and
 * we know that it lives. No transaction is made: the branch of our Via says which contact was asked and when, and carries
 * a keyed hash, so whichever worker gets the answer knows what to do with it and nobody else can write one. A lost datagram is
 * not repeated; the next round asks again.
 *
 * A round takes ka_interval seconds and a random part of ka_randomize more; contacts are spread over it as they are over the
 * buckets. Each tick takes a millisecond at most.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/rng.h"
#include "core/base/scan.h"
#include "core/base/strbuf.h"
#include "core/pv/fmt.h"
#include "core/pv/pv.h"
#include "core/route/route.h"
#include "core/sip/addr.h"
#include "core/tm/out.h"
#include "modules/usrloc/ul_priv.h"
#include "shm/counter.h"

#define BRANCH "z9hG4bKka."
#define REQUEST_MAX 4096u
#define ANSWER_US_MAX 60000000u /* later than that it says nothing */
#define CODES_MAX 16u
#define LOGLEVEL_OFF 255

static struct {
	struct ul_pace pace;
	struct pool *pool;
	struct loop_timer *timer;
	uint64_t round_ms;
	uint16_t code[CODES_MAX]; /* answers that count; none: all do */
	unsigned n_codes;
	struct fmt *logmsg;
	struct pool *logmsg_pool;
} ka;

/* ---- which ---- */

static bool is_udp(const struct ul_contact *c)
{
	const struct net_listener *l = net_listener_at(c->listener);
	struct sip_uri u;

	if (l)
		return l->proto == SIP_PROTO_UDP;
	if (sip_uri_parse(c->received.n ? c->received : c->uri, &u, NULL) < 0)
		return false;
	return u.proto == SIP_PROTO_UDP || (u.proto == SIP_PROTO_NONE && u.scheme == SIP_URI_SIP);
}

bool ul_ka_wanted(const struct ul_contact *c)
{
	if (ul_conf.ka_filter && c->server_id != (uint32_t)pv_conf.server_id)
		return false;
	if (ul_conf.ka_mode & UL_KA_ALL)
		return true;
	if (ul_conf.ka_mode & UL_KA_NAT && !ul_is_natted(c))
		return false;
	return !(ul_conf.ka_mode & UL_KA_UDP) || is_udp(c);
}

/* ---- asking ---- */

/* What the branch says; an answer is believed when the hash over it is ours. */
struct asked {
	uint32_t domain, aor_hash;
	uint64_t sent_us, ruid_hash;
};

static uint64_t asked_mac(const struct asked *q)
{
	return hashfn64_seed(q, sizeof(*q), 0x6b61);
}

static void add_branch(struct strbuf *sb, const struct asked *q)
{
	strbuf_printf(sb, BRANCH "%x.%x.%llx.%llx.%llx", q->domain, q->aor_hash, (unsigned long long)q->sent_us,
		      (unsigned long long)q->ruid_hash, (unsigned long long)asked_mac(q));
}

static int add_request(struct strbuf *sb, const struct ul_domain *d, struct str aor, const struct ul_contact *c, const struct net_listener *l)
{
	struct asked q = { .domain = d->index, .aor_hash = ul_aor_hash(aor), .sent_us = clock_now_us(),
			   .ruid_hash = hashfn64(c->ruid.s, c->ruid.n) };

	strbuf_printf(sb, "%.*s %.*s SIP/2.0\r\nVia: SIP/2.0/%s %.*s;rport;branch=", STR_FMT(ul_conf.ka_method), STR_FMT(c->uri),
		      sip_proto_via_name(l->proto), STR_FMT(l->via_sent_by));
	add_branch(sb, &q);
	if (c->path.n)
		strbuf_printf(sb, "\r\nRoute: %.*s", STR_FMT(c->path));
	strbuf_printf(sb, "\r\nFrom: <%.*s>;tag=%llx\r\nTo: <sip:%.*s", STR_FMT(ul_conf.ka_from), (unsigned long long)q.ruid_hash, STR_FMT(aor));
	if (str_find_char(aor, '@') < 0)
		strbuf_printf(sb, "@%.*s", STR_FMT(ul_conf.ka_domain));
	strbuf_printf(sb, ">\r\nCall-ID: ka-%llx-%llx\r\nCSeq: 1 %.*s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		      (unsigned long long)q.ruid_hash, (unsigned long long)q.sent_us, STR_FMT(ul_conf.ka_method));
	return strbuf_err(sb);
}

static void send_to(const struct ul_domain *d, struct str aor, const struct ul_contact *c, const struct resolve_target *t)
{
	const struct net_listener *l = net_listener_for(t->proto, &t->addr, c->listener);
	struct tx_dest dest = { .to = t->addr, .conn_id = c->conn_id, .proto = (uint8_t)t->proto };
	char mem[REQUEST_MAX];
	struct strbuf sb;

	if (!l)
		return;
	dest.listener = l->index;
	/* a stream that is gone is not opened anew: behind a NAT it could not be, and the phone will come */
	if (t->proto != SIP_PROTO_UDP)
		dest.flags = TX_NO_CONNECT;
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	if (add_request(&sb, d, aor, c, l) == 0 && tx_send_bytes(&dest, sb.p, sb.n) < 0)
		log_debug("usrloc: keepalive to %.*s not sent", STR_FMT(c->uri));
}

/* A name that is not in the cache: the contact is looked up again when the answer is there. */
struct ask_name {
	struct ul_domain *d;
	size_t n_aor, n_ruid;
	char text[];
};

static void named(void *arg, int err, const struct resolve_answer *answer)
{
	struct ask_name *a = arg;
	struct str aor = str_of(a->text, a->n_aor), ruid = str_of(a->text + a->n_aor, a->n_ruid);
	struct pool *pool = pool_new((size_t)4 << 20);
	struct ul_list list = { 0 };

	if (pool && err == 0 && answer->n && ul_get(a->d, aor, pool, &list) == 0)
		for (unsigned i = 0; i < list.n; i++)
			if (str_eq(list.c[i].ruid, ruid))
				send_to(a->d, aor, &list.c[i], &answer->target[0]);
	pool_free(pool);
	free(a);
}

static void ask_name(struct ul_domain *d, struct str aor, const struct ul_contact *c, const struct resolve_query *q)
{
	struct ask_name *a = malloc(sizeof(*a) + aor.n + c->ruid.n);

	if (!a)
		return;
	a->d = d;
	a->n_aor = aor.n;
	a->n_ruid = c->ruid.n;
	memcpy(a->text, aor.s, aor.n);
	memcpy(a->text + aor.n, c->ruid.s, c->ruid.n);
	if (resolve_ask(q, named, a) < 0)
		free(a); /* too many wait: the next round asks again */
}

/* The first Path, else where the REGISTER came from, else what the contact says. */
static struct str next_hop(const struct ul_contact *c)
{
	struct str rest = c->path;
	struct sip_addr addr;

	if (c->path.n && sip_addr_next(&rest, &addr, NULL) == 1)
		return addr.uri;
	return c->received.n ? c->received : c->uri;
}

static void ask(struct ul_domain *d, struct str aor, const struct ul_contact *c)
{
	const struct net_listener *l = net_listener_at(c->listener);
	struct resolve_query q = { 0 };
	struct resolve_answer answer;
	int err = out_query(next_hop(c), SIP_PROTO_NONE, &q);

	if (err < 0)
		return;
	if (q.proto == SIP_PROTO_NONE && l)
		q.proto = l->proto;
	err = resolve_now(&q, &answer);
	if (err == -EAGAIN)
		ask_name(d, aor, c, &q);
	else if (err == 0 && answer.n)
		send_to(d, aor, c, &answer.target[0]);
}

/* ---- going round ---- */

static bool pick_silent(const struct ul_cell *cell, void *arg)
{
	const uint64_t *ruid_hash = arg;
	char mem[UL_RUID_MAX];

	return atomic_load_explicit(&cell->state, memory_order_relaxed) != UL_DELETED && hashfn64(mem, ul_ruid_text(cell, mem)) == *ruid_hash;
}

static void remove_silent(struct ul_domain *d, struct str aor, const struct ul_contact *c)
{
	uint64_t ruid_hash = hashfn64(c->ruid.s, c->ruid.n);
	struct ul_list gone = { 0 };

	if (ul_drop(d, aor, pick_silent, &ruid_hash, ka.pool, &gone) <= 0)
		return;
	log_info("usrloc: %.*s does not answer keepalives, contact %.*s is removed", STR_FMT(aor), STR_FMT(c->uri));
	for (unsigned i = 0; i < gone.n; i++)
		ul_contact_gone(d, aor, &gone.c[i]);
}

static int one(struct ul_domain *d, struct str aor, const struct ul_contact *c, void *arg)
{
	(void)arg;
	if (!ul_ka_wanted(c))
		return 0;
	if (ul_conf.ka_timeout && c->last_keepalive + ul_conf.ka_timeout < clock_wall_s())
		remove_silent(d, aor, c);
	else
		ask(d, aor, c);
	return 0;
}

void ul_ka_bucket(struct ul_domain *d, uint32_t bucket)
{
	if (!ka.pool)
		ka.pool = pool_new((size_t)16 << 20);
	if (!ka.pool)
		return;
	(void)ul_walk(d, bucket, ka.pool, one, NULL);
	pool_reset(ka.pool);
}

static void new_round(void)
{
	ka.round_ms = ((uint64_t)ul_conf.ka_interval + (ul_conf.ka_randomize ? rng_below((uint32_t)ul_conf.ka_randomize + 1) : 0)) * 1000;
}

static void on_tick(void *arg)
{
	(void)arg;
	if (ul_pace_run(&ka.pace, ka.round_ms, ul_ka_bucket, NULL))
		new_round();
}

/* ---- answers ---- */

static bool branch_parse(struct str text, struct asked *ret)
{
	uint64_t v[5];
	unsigned n = 0;

	if (!str_starts(text, STR_LIT(BRANCH)))
		return false;
	text = str_sub(text, sizeof(BRANCH) - 1, text.n);
	for (bool more = true; more; n++) {
		ptrdiff_t at = str_find_char(text, '.');

		more = at >= 0;
		if (n == ARRAY_LEN(v) || num_hex_u64(more ? str_sub(text, 0, (size_t)at) : text, &v[n]) < 0)
			return false;
		if (more)
			text = str_sub(text, (size_t)at + 1, text.n);
	}
	if (n != ARRAY_LEN(v) || v[0] > UINT32_MAX || v[1] > UINT32_MAX)
		return false;
	*ret = (struct asked){ .domain = (uint32_t)v[0], .aor_hash = (uint32_t)v[1], .sent_us = v[2], .ruid_hash = v[3] };
	return asked_mac(ret) == v[4];
}

static bool code_counts(unsigned status)
{
	for (unsigned i = 0; i < ka.n_codes; i++)
		if (ka.code[i] == status)
			return true;
	return ka.n_codes == 0;
}

static void log_answer(struct ctx *ctx)
{
	struct str text;

	if (ul_conf.ka_loglevel != LOGLEVEL_OFF && log_on(ul_conf.ka_loglevel) && fmt_eval(ctx, ka.logmsg, &text) == 0)
		log_write(ul_conf.ka_loglevel, "usrloc: keepalive answered:%.*s", STR_FMT(text));
}

bool ul_ka_reply(struct ctx *ctx)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	struct ul_domain *d;
	struct asked q;
	uint64_t took;

	if (!via || !branch_parse(via->branch, &q))
		return false;
	d = ul_domain_at(q.domain);
	took = clock_now_us() - q.sent_us;
	if (ctx->msg.status < 200 || !d || took > ANSWER_US_MAX || !code_counts(ctx->msg.status))
		return true;
	log_answer(ctx);
	(void)ul_touch_hash(d, q.aor_hash, q.ruid_hash, (uint32_t)took); /* gone meanwhile: no matter */
	return true;
}

/* ---- start ---- */

/* "200;404" or "200,404"; "0": all. */
static int codes_parse(struct str text)
{
	while (text.n) {
		size_t n = 0;
		uint64_t v;

		while (n < text.n && text.s[n] != ';' && text.s[n] != ',')
			n++;
		if (num_u64(str_trim(str_sub(text, 0, n)), &v) < 0 || v > 699 || (v && v < 200) || ka.n_codes == CODES_MAX)
			return -EINVAL;
		if (v)
			ka.code[ka.n_codes++] = (uint16_t)v;
		text = str_sub(text, n + 1, text.n);
	}
	return 0;
}

static bool is_token(struct str s)
{
	struct scan scan = scan_begin(s);

	return scan_while(&scan, CHARS_TOKEN).n == s.n && s.n > 0;
}

int ul_ka_init(void)
{
	struct sip_uri from;
	struct diag diag = { 0 };

	if (!ul_conf.ka_mode)
		return 0;
	if (ul_conf.db_mode == 3) {
		log_error("usrloc: ka_mode needs contacts in memory: not with db_mode 3");
		return -EINVAL;
	}
	ka.n_codes = 0;
	if (codes_parse(ul_conf.ka_reply_codes) < 0) {
		log_error("usrloc: ka_reply_codes \"%.*s\": up to %u codes from 200 to 699 were expected, or 0", STR_FMT(ul_conf.ka_reply_codes), CODES_MAX);
		return -EINVAL;
	}
	if (sip_uri_parse(ul_conf.ka_from, &from, &diag) < 0) {
		log_error("usrloc: ka_from \"%.*s\": %s", STR_FMT(ul_conf.ka_from), diag.text);
		return -EINVAL;
	}
	if (!is_token(ul_conf.ka_method) || str_eq(ul_conf.ka_method, STR_LIT("INVITE"))) {
		log_error("usrloc: ka_method \"%.*s\": the name of a method other than INVITE was expected", STR_FMT(ul_conf.ka_method));
		return -EINVAL;
	}
	ka.logmsg_pool = pool_new(64 * 1024);
	if (!ka.logmsg_pool || fmt_compile(ka.logmsg_pool, ul_conf.ka_logmsg, &ka.logmsg, &diag) < 0) {
		log_error("usrloc: ka_logmsg: %s", ka.logmsg_pool ? diag.text : "no memory");
		return -EINVAL;
	}
	return route_on_reply(ul_ka_reply);
}

int ul_ka_start(struct loop *loop)
{
	if (!ul_conf.ka_mode)
		return 0;
	new_round();
	return loop_timer_add(loop, UL_TICK_MS, UL_TICK_MS, on_tick, NULL, &ka.timer);
}
