/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nonces: base64 of  expire(4) since(4) mac(16) [checks mac(16)] [id(4)].
 *
 * The mac is a keyed hash over both times, the realm and the id, so a nonce cannot be made by others nor moved to another realm; any worker (and
 * any node with the same `secret`) can check what another issued, and nothing is kept for a plain nonce. nonce_count and one_time_nonce
 * need a memory: one word per recent id in shared memory, holding which id it belongs to and the last nc (or "used").
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/rng.h"
#include "modules/auth/auth_priv.h"
#include "shm/arena.h"
#include "shm/slab.h"

#define MAC_BYTES 16u
#define HEAD_BYTES (8u + MAC_BYTES)
#define ID_BYTES 4u
#define NC_MAX 0xffffu

struct ids { /* in the arena */
	_Atomic uint32_t next;
	uint32_t n;               /* power of two */
	_Atomic uint64_t word[];  /* id << 32 | last nc; NC_MAX + 1: used up */
};

static struct {
	unsigned char key[32];
	int64_t started_s;
	struct ids *ids;
	EVP_MAC *mac;
	EVP_MAC_CTX *keyed; /* keying costs more than the hash */
} g;

static bool tracked(void)
{
	return auth_conf.nonce_count || auth_conf.one_time_nonce;
}

/* A number, or 2^order when none is given. */
static uint32_t table_size(int number, int order)
{
	return number ? (uint32_t)number : 1u << order;
}

int auth_nonce_init(void)
{
	uint32_t want = 0, n = 1024;
	unsigned len = 0;

	g.started_s = clock_wall().tv_sec;
	EVP_MAC_CTX_free(g.keyed); /* made with an earlier key */
	g.keyed = NULL;
	if (auth_conf.secret.n) {
		if (EVP_Digest(auth_conf.secret.s, auth_conf.secret.n, g.key, &len, EVP_sha256(), NULL) != 1)
			return -ENOMEM;
	} else {
		rng_bytes(g.key, sizeof(g.key));
	}
	if (!tracked())
		return 0;
	if (auth_conf.nonce_count)
		want = table_size(auth_conf.nc_array_size, auth_conf.nc_array_order);
	if (auth_conf.one_time_nonce && table_size(auth_conf.otn_in_flight_no, auth_conf.otn_in_flight_order) > want)
		want = table_size(auth_conf.otn_in_flight_no, auth_conf.otn_in_flight_order);
	while (n < want)
		n *= 2;
	g.ids = shm_zalloc(sizeof(*g.ids) + (size_t)n * sizeof(g.ids->word[0]));
	if (!g.ids)
		return log_fail(-ENOSPC, "auth: no shared memory for %u tracked nonces", n);
	g.ids->n = n;
	atomic_store(&g.ids->next, (uint32_t)rng_u64()); /* ids of an earlier run must not fit */
	shm_publish(g.ids);
	return shm_root_set("auth.nonce_ids", shm_ref_of(g.ids));
}

/* The context is keyed once per process; a NULL key starts it anew with the same one. */
static int mac(const struct str *parts, unsigned n, unsigned char out[MAC_BYTES])
{
	unsigned char full[EVP_MAX_MD_SIZE];
	size_t len = 0;
	int ok;

	if (!g.keyed) {
		char digest[] = "SHA256";
		OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end() };

		if (!g.mac)
			g.mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
		g.keyed = g.mac ? EVP_MAC_CTX_new(g.mac) : NULL;
		if (!g.keyed || EVP_MAC_init(g.keyed, g.key, sizeof(g.key), params) != 1) {
			EVP_MAC_CTX_free(g.keyed);
			g.keyed = NULL;
			return -ENOMEM;
		}
	}
	ok = EVP_MAC_init(g.keyed, NULL, 0, NULL) == 1;
	for (unsigned i = 0; ok && i < n; i++) {
		uint32_t size = (uint32_t)parts[i].n; /* lengths are hashed too: no two lists of parts look alike */

		ok = EVP_MAC_update(g.keyed, (unsigned char *)&size, sizeof(size)) == 1 &&
		     (parts[i].n == 0 || EVP_MAC_update(g.keyed, (const unsigned char *)parts[i].s, parts[i].n) == 1);
	}
	ok = ok && EVP_MAC_final(g.keyed, full, &len, sizeof(full)) == 1 && len >= MAC_BYTES;
	if (!ok)
		return -ENOMEM;
	memcpy(out, full, MAC_BYTES);
	return 0;
}

/* Which fields of the request a nonce is bound to (auth_checks_*). */
static int checks_of(struct ctx *ctx)
{
	const struct sip_addr *to = sip_msg_to(&ctx->msg);

	if (ctx->msg.method == SIP_M_REGISTER)
		return auth_conf.checks_register;
	return to && to->tag.n ? auth_conf.checks_in_dlg : auth_conf.checks_no_dlg;
}

static int checks_mac(struct ctx *ctx, int checks, const unsigned char *head, unsigned char out[MAC_BYTES])
{
	const struct sip_addr *from = sip_msg_from(&ctx->msg);
	struct str parts[5] = { { 0 } };

	parts[0] = str_of(head, 8);
	if (checks & 1)
		parts[1] = ctx->msg.ruri;
	if (checks & 2)
		parts[2] = sip_msg_call_id(&ctx->msg);
	if ((checks & 4) && from)
		parts[3] = from->tag;
	if (checks & 8)
		parts[4] = str_of(ctx->rx.src.ip, sizeof(ctx->rx.src.ip));
	return mac(parts, 5, out);
}

static void put32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int head_mac(const unsigned char *raw, struct str realm, struct str id, unsigned char out[MAC_BYTES])
{
	struct str parts[3] = { str_of(raw, 8), realm, id };

	return mac(parts, 3, out);
}

size_t auth_nonce_make(struct ctx *ctx, struct str realm, char out[AUTH_NONCE_MAX])
{
	unsigned char raw[HEAD_BYTES + MAC_BYTES + ID_BYTES];
	int64_t now = ctx->rx.wall_s ? ctx->rx.wall_s : clock_wall().tv_sec;
	int checks = checks_of(ctx);
	unsigned char id[ID_BYTES];
	struct str id_view = STR_NULL;
	size_t n = HEAD_BYTES;

	put32(raw, (uint32_t)(now + auth_conf.nonce_expire));
	put32(raw + 4, (uint32_t)now);
	if (tracked()) {
		uint32_t nid = atomic_fetch_add(&g.ids->next, 1) + 1;

		atomic_store(&g.ids->word[nid & (g.ids->n - 1)], (uint64_t)nid << 32);
		put32(id, nid);
		id_view = str_of(id, ID_BYTES);
	}
	if (head_mac(raw, realm, id_view, raw + 8) < 0)
		return 0;
	if (checks) {
		if (checks_mac(ctx, checks, raw, raw + n) < 0)
			return 0;
		n += MAC_BYTES;
	}
	if (id_view.n) {
		memcpy(raw + n, id, ID_BYTES);
		n += ID_BYTES;
	}
	return (size_t)EVP_EncodeBlock((unsigned char *)out, raw, (int)n);
}

/* Strict base64 into raw; returns the number of bytes or -EBADMSG. */
static int decode(struct str text, unsigned char *raw, size_t cap)
{
	unsigned char buf[AUTH_NONCE_MAX];
	char again[2 * AUTH_NONCE_MAX];
	int n, pad = 0;

	if (text.n == 0 || text.n % 4 || text.n >= AUTH_NONCE_MAX || text.n / 4 * 3 > sizeof(buf))
		return -EBADMSG;
	n = EVP_DecodeBlock(buf, (const unsigned char *)text.s, (int)text.n);
	while (pad < 2 && text.s[text.n - 1 - (size_t)pad] == '=')
		pad++;
	if (n < pad || (size_t)(n - pad) > cap)
		return -EBADMSG;
	/* the decoder takes '=' for 'A' and skips blanks: one nonce has one text */
	if ((size_t)EVP_EncodeBlock((unsigned char *)again, buf, n - pad) != text.n || memcmp(again, text.s, text.n) != 0)
		return -EBADMSG;
	memcpy(raw, buf, (size_t)(n - pad));
	return n - pad;
}

/* The nc of a nonce must grow; 0 is what an id starts with. */
static int nc_take(uint32_t nid, uint32_t nc, enum auth_take take)
{
	_Atomic uint64_t *w = &g.ids->word[nid & (g.ids->n - 1)];
	uint64_t old = atomic_load(w);

	for (;;) {
		if ((uint32_t)(old >> 32) != nid || nc > NC_MAX || (uint32_t)old >= nc)
			return AUTH_STALE;
		if (take == AUTH_TAKE_LATER || atomic_compare_exchange_weak(w, &old, (uint64_t)nid << 32 | nc))
			return AUTH_OK;
	}
}

static int once_take(uint32_t nid, enum auth_take take)
{
	_Atomic uint64_t *w = &g.ids->word[nid & (g.ids->n - 1)];
	uint64_t fresh = (uint64_t)nid << 32;

	if (take == AUTH_TAKE_LATER)
		return atomic_load(w) == fresh ? AUTH_OK : AUTH_NONCE_REUSED;
	return atomic_compare_exchange_strong(w, &fresh, fresh | (NC_MAX + 1)) ? AUTH_OK : AUTH_NONCE_REUSED;
}

/* nc or one-time use, whichever these credentials are subject to. *ret_counted: by nc, so the checks are not made again. */
static int id_take(const struct sip_credentials *c, uint32_t nid, enum auth_take take, bool *ret_counted)
{
	uint64_t nc;

	*ret_counted = false;
	if (auth_conf.nonce_count && c->qop.n && c->nc.n) {
		if (c->nc.n != 8 || num_hex_u64(c->nc, &nc) < 0)
			return AUTH_ERROR;
		*ret_counted = true;
		return nc_take(nid, nc > NC_MAX ? NC_MAX + 1 : (uint32_t)nc, take);
	}
	return auth_conf.one_time_nonce ? once_take(nid, take) : AUTH_OK;
}

int auth_nonce_take(const struct sip_credentials *c)
{
	unsigned char raw[HEAD_BYTES + MAC_BYTES + ID_BYTES];
	int n = tracked() ? decode(c->nonce, raw, sizeof(raw)) : 0;
	bool counted;

	return n < (int)(HEAD_BYTES + ID_BYTES) ? AUTH_OK : id_take(c, get32(raw + n - ID_BYTES), AUTH_TAKE_NOW, &counted);
}

int auth_nonce_check(struct ctx *ctx, struct str realm, const struct sip_credentials *c, enum auth_take take)
{
	unsigned char raw[HEAD_BYTES + MAC_BYTES + ID_BYTES], want[MAC_BYTES];
	int64_t now = ctx->rx.wall_s ? ctx->rx.wall_s : clock_wall().tv_sec;
	int checks = checks_of(ctx), rc = AUTH_OK, n = decode(c->nonce, raw, sizeof(raw));
	size_t id_bytes = tracked() ? ID_BYTES : 0;
	struct str id_view = STR_NULL;
	int64_t expire, since;
	bool counted = false, bound;

	if (n < (int)HEAD_BYTES)
		return AUTH_ERROR;
	expire = get32(raw);
	since = get32(raw + 4);
	if (since < g.started_s || since > now + auth_conf.nonce_auth_max_drift)
		return AUTH_STALE;
	bound = (size_t)n == HEAD_BYTES + MAC_BYTES + id_bytes;
	if (!bound && (size_t)n != HEAD_BYTES + id_bytes)
		return AUTH_ERROR;
	if (id_bytes)
		id_view = str_of(raw + n - ID_BYTES, ID_BYTES);
	if (head_mac(raw, realm, id_view, want) < 0 || !str_eq_secret(str_of(raw + 8, MAC_BYTES), str_of(want, MAC_BYTES)))
		return AUTH_ERROR;
	if (id_bytes)
		rc = id_take(c, get32((const unsigned char *)id_view.s), take, &counted);
	if (rc != AUTH_OK)
		return rc;
	if (!counted) {
		/* made for a request of another kind (auth_checks_*): a good nonce in the wrong place */
		if (bound != (checks != 0))
			return AUTH_STALE;
		if (checks && checks_mac(ctx, checks, raw, want) < 0)
			return AUTH_ERROR;
		if (checks && !str_eq_secret(str_of(raw + HEAD_BYTES, MAC_BYTES), str_of(want, MAC_BYTES)))
			return AUTH_STALE;
	}
	return expire < now ? AUTH_STALE : AUTH_OK;
}
