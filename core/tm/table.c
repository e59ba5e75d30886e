/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of transactions: one shm_hash keyed by Call-ID and CSeq number, so that a request, its ACK, its CANCEL and its
 * retransmissions meet in one chain. Our own Via branch repeats the hash, so a reply finds its chain too, and carries the label, 64
 * random bits, so that nobody outside can name a transaction he has not seen.
 *
 * Claiming, the inbox, and what the janitor does after a worker died holding claims are here; see tm_priv.h for the idea.
 * Order of stores: an object is linked first and published (marked live) after; before it is unlinked it is retired. The janitor
 * marks live whatever of the dead it can reach from a transaction, and only then is the dead slot's limbo emptied.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/num.h"
#include "core/base/rng.h"
#include "core/tm/tm_priv.h"
#include "shm/recover.h"
#include "shm/slot.h"

struct tm_self tm_self;

/* ---- keys ---- */

int tm_key_of(struct ctx *ctx, struct tm_key *ret_key)
{
	struct sip_msg *m = &ctx->msg;
	const struct sip_via *via = sip_msg_via1(m);
	const struct sip_cseq *cseq = sip_msg_cseq(m);
	const struct sip_addr *from = sip_msg_from(m), *to = sip_msg_to(m);

	if (m->kind != SIP_REQUEST || !via || !cseq || !from || !to)
		return -EBADMSG;
	*ret_key = (struct tm_key){ .method = m->method, .method_name = m->method_name, .callid = sip_msg_call_id(m), .from_tag = from->tag,
		.to_tag = to->tag, .ruri = m->ruri, .via_text = via->text, .via_branch = via->branch, .via_host = via->host,
		.cseq = cseq->number, .via_port = via->port, .magic = via->magic };
	return 0;
}

static uint32_t hash_of(struct str callid, uint32_t cseq)
{
	return (uint32_t)hashfn64_seed(callid.s, callid.n, hashfn64(&cseq, sizeof(cseq)));
}

uint32_t tm_key_hash(const struct tm_key *key)
{
	return hash_of(key->callid, key->cseq);
}

uint32_t tm_hash_of(const struct tm_txn *t)
{
	return t->node.hash;
}

static bool same_method(const struct tm_txn *t, const struct tm_key *key, enum sip_method want)
{
	if (t->method != (uint32_t)want)
		return false;
	return want != SIP_M_OTHER || str_eq(tm_span_str(t, t->method_name), key->method_name);
}

bool tm_key_matches(const struct tm_txn *t, const struct tm_key *key, enum sip_method want)
{
	if ((t->flags & TM_T_LOCAL) || !same_method(t, key, want) || t->cseq != key->cseq || t->magic != key->magic)
		return false;
	if (key->magic) /* RFC 3261, 17.2.3 */
		return str_eq(tm_span_str(t, t->via_branch), key->via_branch) && t->via_port == key->via_port &&
		       str_ieq(tm_span_str(t, t->via_host), key->via_host);
	/* RFC 2543. The To-tag of an ACK is that of our answer, which the request has not. */
	return str_eq(tm_span_str(t, t->callid), key->callid) && str_eq(tm_span_str(t, t->from_tag), key->from_tag) &&
	       str_eq(tm_span_str(t, t->ruri), key->ruri) && str_eq(tm_span_str(t, t->via_text), key->via_text) &&
	       (key->method == SIP_M_ACK || str_eq(tm_span_str(t, t->to_tag), key->to_tag));
}

bool tm_key_e2e_ack(const struct tm_txn *t, const struct tm_key *key)
{
	return !(t->flags & TM_T_LOCAL) && t->method == SIP_M_INVITE && t->cseq == key->cseq && t->status >= 200 && t->status < 300 &&
	       str_eq(tm_span_str(t, t->callid), key->callid) && str_eq(tm_span_str(t, t->from_tag), key->from_tag);
}

/* ---- branch identifiers: z9hG4bK HHHHHHHH . LLLLLLLLLLLLLLLL . B ---- */

void tm_branch_id(const struct tm_txn *t, unsigned branch, char out[40])
{
	char *p = out;

	memcpy(p, "z9hG4bK", 7);
	p = num_hex(t->node.hash, 8, p + 7);
	*p++ = '.';
	p = num_hex(t->label, 16, p);
	*p++ = '.';
	p = num_hex(branch, 2, p);
	*p = '\0';
}

bool tm_branch_id_parse(struct str id, uint32_t *ret_hash, uint64_t *ret_label, unsigned *ret_branch)
{
	uint64_t h, b;

	if (id.n < 35 || memcmp(id.s, "z9hG4bK", 7) != 0 || id.s[15] != '.' || id.s[32] != '.' || (id.n > 35 && id.s[35] != '.'))
		return false;
	if (num_hex_u64(str_sub(id, 7, 8), &h) < 0 || num_hex_u64(str_sub(id, 16, 16), ret_label) < 0 || num_hex_u64(str_sub(id, 33, 2), &b) < 0)
		return false;
	*ret_hash = (uint32_t)h;
	*ret_branch = (unsigned)b;
	return true;
}

/* ---- objects ---- */

struct tm_buf *tm_buf_new(struct str bytes, uint16_t status)
{
	struct tm_buf *b = shm_alloc(sizeof(*b) + bytes.n);

	if (!b)
		return NULL;
	*b = (struct tm_buf){ .len = (uint32_t)bytes.n, .status = status };
	if (bytes.n)
		memcpy(b->bytes, bytes.s, bytes.n);
	return b;
}

struct tm_buf *tm_buf_of(const struct sip_out *out, uint16_t status)
{
	struct tm_buf *b = shm_alloc(sizeof(*b) + out->bytes);

	if (!b)
		return NULL;
	*b = (struct tm_buf){ .len = (uint32_t)out->bytes, .status = status };
	sip_out_copy(out, b->bytes);
	return b;
}

void tm_ref_set(shm_ref *field, void *obj)
{
	void *old = shm_ptr(*field);

	if (old)
		shm_retire(old);
	CRASH_POINT("tm.ref.retired");
	*field = shm_ref_of(obj);
	CRASH_POINT("tm.ref.stored");
	if (obj)
		shm_publish(obj);
	shm_free(old);
}

struct tm_event *tm_event_new(enum tm_inbox_kind kind, uint8_t branch, struct str bytes, const struct rx_info *rx)
{
	struct tm_event *ev = shm_alloc(sizeof(*ev) + bytes.n);

	if (!ev)
		return NULL;
	*ev = (struct tm_event){ .kind = (uint8_t)kind, .branch = branch, .len = (uint32_t)bytes.n };
	if (rx)
		ev->rx = *rx;
	if (bytes.n)
		memcpy(ev->bytes, bytes.s, bytes.n);
	return ev;
}

/* ---- claims ---- */

struct find_arg {
	tm_match_fn *match;
	const void *arg;
};

static bool eq_match(const struct shm_hnode *node, const void *key)
{
	const struct find_arg *f = key;

	return f->match(CONTAINER_OF((struct shm_hnode *)(uintptr_t)node, struct tm_txn, node), f->arg);
}

static bool inbox_put(struct tm_txn *t, struct tm_event *ev)
{
	if (t->n_inbox >= TM_INBOX_MAX)
		return false;
	ev->next = SHM_NONE;
	if (t->inbox_tail)
		((struct tm_event *)shm_ptr(t->inbox_tail))->next = shm_ref_of(ev);
	else
		t->inbox_head = shm_ref_of(ev);
	CRASH_POINT("tm.inbox.linked");
	t->inbox_tail = shm_ref_of(ev);
	t->n_inbox++;
	shm_publish(ev);
	return true;
}

enum tm_found tm_find(uint32_t hash, tm_match_fn *match, const void *arg, enum tm_take take, uint16_t pending, struct tm_event *ev,
		      struct tm_txn **ret_txn, struct tm_snapshot *ret_snap)
{
	struct find_arg f = { match, arg };
	struct shm_hbucket *b = shm_hash_lock(tm_self.table, hash);
	struct shm_hnode *n = shm_hash_find_locked(b, hash, eq_match, &f);
	struct tm_txn *t = n ? CONTAINER_OF(n, struct tm_txn, node) : NULL;
	enum tm_found found = TM_ABSENT;

	if (t) {
		if (ret_snap)
			*ret_snap = (struct tm_snapshot){ .status = t->status, .n_branches = t->n_branches, .canceled = t->canceled, .flags = t->flags,
				.msg_flags = t->msg_flags, .label = t->label };
		if (ev && ev->kind == TM_IN_CANCEL)
			t->canceled = true;
		if (take == TM_TAKE_NOT) {
			found = TM_EXISTS;
		} else if (t->busy == 0 && take == TM_TAKE_CLAIM) {
			t->busy = (uint8_t)(shm_slot_self() + 1);
			found = TM_CLAIMED;
			*ret_txn = t;
		} else {
			found = TM_BUSY;
			t->pending |= pending;
			if (ev && inbox_put(t, ev))
				ev = NULL;
		}
	}
	shm_hash_unlock(b);
	if (ev && found == TM_BUSY)
		shm_free(ev); /* full inbox: whoever sent it repeats it */
	return found;
}

static char request_copy[UINT16_MAX]; /* no request is longer; no allocation under a lock */

void tm_copy_request(uint32_t hash, tm_match_fn *match, const void *arg, struct ctx **ret_ctx)
{
	struct find_arg f = { match, arg };
	struct shm_hbucket *b = shm_hash_lock(tm_self.table, hash);
	const struct shm_hnode *n = shm_hash_find_locked(b, hash, eq_match, &f);
	const struct tm_txn *t = n ? CONTAINER_OF((struct shm_hnode *)(uintptr_t)n, struct tm_txn, node) : NULL;
	struct str bytes = STR_NULL;
	struct rx_info rx = { .proto = SIP_PROTO_UDP };

	if (t) { /* request and origin are written once */
		bytes = str_of(request_copy, t->req_len);
		rx = t->rx;
		memcpy(request_copy, t->request, t->req_len);
	}
	shm_hash_unlock(b);
	*ret_ctx = bytes.n ? ctx_from_bytes(bytes, &rx) : NULL;
}

bool tm_next(struct tm_txn *t, uint16_t *ret_pending, struct tm_event **ret_ev)
{
	struct shm_hbucket *b;
	struct tm_event *ev = NULL;
	uint16_t pending;

	if (UNLIKELY(tm_self.flush)) {
		tm_self.flush = false;
		tx_flush();
	}
	tm_rearm(t);
	b = shm_hash_lock(tm_self.table, t->node.hash);
	pending = t->pending;
	t->pending = 0;
	if (t->inbox_head && !(pending & TM_P_MEND)) { /* first things first: events are for a sound transaction */
		ev = shm_ptr(t->inbox_head);
		shm_retire(ev);
		CRASH_POINT("tm.next.retired");
		if (!ev->next) /* before the head: a tail without a head would swallow the next one */
			t->inbox_tail = SHM_NONE;
		t->inbox_head = ev->next;
		CRASH_POINT("tm.next.unlinked");
		t->n_inbox--;
	}
	if (!ev && !pending) {
		CRASH_POINT("tm.release.before");
		t->busy = 0;
	}
	shm_hash_unlock(b);
	*ret_pending = pending;
	*ret_ev = ev;
	return ev || pending;
}

static void retire_all(struct tm_txn *t)
{
	shm_ref *refs[] = { &t->last_reply, &t->avps, &t->edits, &t->on_failure, &t->relayed_uri };

	for (unsigned i = 0; i < ARRAY_LEN(refs); i++)
		if (*refs[i])
			shm_retire(shm_ptr(*refs[i]));
	for (const struct tm_event *ev = shm_ptr(t->aside); ev; ev = shm_ptr(ev->next))
		shm_retire(ev);
	for (unsigned i = 0; i < t->n_branches; i++) {
		struct tm_branch *b = shm_ptr(t->branch[i]);

		if (b->reply)
			shm_retire(shm_ptr(b->reply));
		if (b->alts)
			shm_retire(shm_ptr(b->alts));
		if (b->reason)
			shm_retire(shm_ptr(b->reason));
		shm_retire(b);
	}
}

static void events_free(struct tm_event *ev)
{
	while (ev) {
		struct tm_event *next = shm_ptr(ev->next);

		shm_free(ev);
		ev = next;
	}
}

static void free_all(struct tm_txn *t)
{
	events_free(shm_ptr(t->aside));
	shm_free(shm_ptr(t->last_reply));
	shm_free(shm_ptr(t->avps));
	shm_free(shm_ptr(t->edits));
	shm_free(shm_ptr(t->on_failure));
	shm_free(shm_ptr(t->relayed_uri));
	for (unsigned i = 0; i < t->n_branches; i++) {
		struct tm_branch *b = shm_ptr(t->branch[i]);

		shm_free(shm_ptr(b->reply));
		shm_free(shm_ptr(b->alts));
		shm_free(shm_ptr(b->reason));
		shm_free(b);
	}
}

void tm_txn_destroy(struct tm_txn *t)
{
	struct shm_hbucket *b;
	struct tm_event *ev;

	/* A timer that is being fired right now finds nothing under this address and leaves it alone. */
	(void)shm_timer_del(&t->timer);
	retire_all(t);
	CRASH_POINT("tm.destroy.retired");
	b = shm_hash_lock(tm_self.table, t->node.hash);
	for (ev = shm_ptr(t->inbox_head); ev; ev = shm_ptr(ev->next)) /* no more than TM_INBOX_MAX */
		shm_retire(ev);
	CRASH_POINT("tm.destroy.inbox");
	(void)shm_hash_remove_locked(tm_self.table, b, &t->node);
	ev = shm_ptr(t->inbox_head);
	shm_hash_unlock(b);
	CRASH_POINT("tm.destroy.removed");
	events_free(ev);
	free_all(t);
	shm_free(t);
	tm_stat(TM_ST_CURRENT, -1);
}

/* ---- after a death ---- */

/*
 * Only what the dead process had in its limbo: an object in the limbo of somebody alive is being changed by him right now, and
 * may be free, and somebody else's, in the next moment.
 */
static void relive(shm_ref ref, unsigned slot)
{
	const void *p = shm_ptr(ref);

	if (p && shm_limbo_owner(p) == (int)slot)
		shm_publish(p);
}

static void relive_inbox(struct tm_txn *t, unsigned slot)
{
	t->n_inbox = 0;
	t->inbox_tail = SHM_NONE;
	for (struct tm_event *ev = shm_ptr(t->inbox_head); ev; ev = shm_ptr(ev->next)) {
		relive(shm_ref_of(ev), slot);
		t->inbox_tail = shm_ref_of(ev);
		t->n_inbox++;
	}
}

/* Marks live all that a transaction reaches: nobody else may touch it until the claim is given up. */
static void relive_all(struct tm_txn *t, unsigned slot)
{
	relive(t->last_reply, slot);
	relive(t->avps, slot);
	relive(t->edits, slot);
	relive(t->on_failure, slot);
	relive(t->relayed_uri, slot);
	for (const struct tm_event *ev = shm_ptr(t->aside); ev; ev = shm_ptr(ev->next))
		relive(shm_ref_of(ev), slot);
	for (unsigned i = 0; i < t->n_branches; i++) {
		const struct tm_branch *b = shm_ptr(t->branch[i]);

		relive(t->branch[i], slot);
		relive(b->reply, slot);
		relive(b->alts, slot);
		relive(b->reason, slot);
	}
}

/* Slot whose process runs timers: that of the dead, inherited by its replacement, if it was a worker. */
static unsigned wheel_for(unsigned slot)
{
	struct shm_slot_info info;

	return shm_slot_info(slot, &info) == 0 && info.kind == SHM_SLOT_WORKER ? slot : 1;
}

static int recover_one(struct shm_hnode *node, void *arg)
{
	struct tm_txn *t = CONTAINER_OF(node, struct tm_txn, node);
	unsigned slot = *(const unsigned *)arg;

	relive_inbox(t, slot);
	if (t->busy != slot + 1)
		return 0;
	relive_all(t, slot);
	/* Whoever claims it next, at the latest when its timer fires, mends it before anything else: see mend.c. */
	t->pending |= TM_P_TIMER | TM_P_MEND;
	t->armed_at = 1;
	shm_timer_set_on(&t->timer, (uint8_t)tm_self.timer_kind, 1, wheel_for(slot));
	CRASH_POINT("tm.recover.armed");
	t->busy = 0;
	return 0;
}

static int recover(unsigned slot)
{
	for (uint32_t i = 0; i < shm_hash_n_buckets(tm_self.table); i++)
		(void)shm_hash_walk(tm_self.table, i, recover_one, &slot);
	tm_stats_recover(slot);
	return 0;
}

static int check_one(struct shm_hnode *node, void *arg)
{
	const struct tm_txn *t = CONTAINER_OF(node, struct tm_txn, node);

	(void)arg; /* verdict by return value */
	if (t->busy) /* somebody changes it right now */
		return 0;
	if (t->n_branches > TM_BRANCHES_MAX || t->state >= TM_N_STATES || t->leg_first > t->n_branches)
		return -EUCLEAN;
	for (unsigned i = 0; i < t->n_branches; i++)
		if (!t->branch[i] || !shm_is_live(shm_ptr(t->branch[i])))
			return -EUCLEAN;
	for (const struct tm_event *ev = shm_ptr(t->aside); ev; ev = shm_ptr(ev->next))
		if (!shm_is_live(ev))
			return -EUCLEAN;
	return t->last_reply && !shm_is_live(shm_ptr(t->last_reply)) ? -EUCLEAN : 0;
}

static int check(void)
{
	int err = shm_hash_check(tm_self.table);

	for (uint32_t i = 0; err == 0 && i < shm_hash_n_buckets(tm_self.table); i++)
		err = shm_hash_walk(tm_self.table, i, check_one, NULL);
	return err;
}

int tm_table_init(void)
{
	int err = shm_hash_new(4096, &tm_self.table);

	if (err < 0)
		return err;
	tm_self.timer_kind = shm_timer_kind_register("tm", tm_timer_fired);
	if (tm_self.timer_kind < 0)
		return tm_self.timer_kind;
	err = shm_recover_register("tm", recover);
	return err < 0 ? err : shm_check_register("tm", check);
}
