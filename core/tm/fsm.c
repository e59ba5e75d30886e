/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State tables. One row is one arrow of RFC 3261 figures 5 to 8, with RFC 6026's Accepted states. What is not listed is
 * ignored on purpose: a late provisional after a final, a second final of a server transaction.
 *
 * The client tables differ from the figures in one point: a proxy keeps the branch until its transaction ends, so timers D
 * and K have no rows of their own; a repeated final is acknowledged and absorbed as long as the transaction lives.
 */
#include "core/tm/fsm.h"

#include <stdbool.h>

struct edge {
	uint8_t state, event;
	uint16_t actions;
	uint8_t next;
};

/* clang-format off */
static const struct edge uas_invite[] = {
	{ TM_S_TRYING,     TM_EV_TX_1XX,     TM_A_SEND,                                                TM_S_PROCEEDING },
	{ TM_S_TRYING,     TM_EV_TX_2XX,     TM_A_SEND | TM_A_ARM_WAIT,                                TM_S_ACCEPTED },
	{ TM_S_TRYING,     TM_EV_TX_FINAL,   TM_A_SEND | TM_A_ARM_RETRANSMIT | TM_A_ARM_GIVE_UP,       TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_REQUEST,    TM_A_RESEND,                                              TM_S_PROCEEDING },
	{ TM_S_PROCEEDING, TM_EV_TX_1XX,     TM_A_SEND,                                                TM_S_PROCEEDING },
	{ TM_S_PROCEEDING, TM_EV_TX_2XX,     TM_A_SEND | TM_A_ARM_WAIT,                                TM_S_ACCEPTED },
	{ TM_S_PROCEEDING, TM_EV_TX_FINAL,   TM_A_SEND | TM_A_ARM_RETRANSMIT | TM_A_ARM_GIVE_UP,       TM_S_COMPLETED },
	/* 2xx of other branches and repeated ones go through; a repeated INVITE has not seen its 2xx and gets it again. */
	{ TM_S_ACCEPTED,   TM_EV_TX_2XX,     TM_A_SEND,                                                TM_S_ACCEPTED },
	{ TM_S_ACCEPTED,   TM_EV_REQUEST,    TM_A_RESEND,                                              TM_S_ACCEPTED },
	{ TM_S_ACCEPTED,   TM_EV_WAIT_OVER,  TM_A_END,                                                 TM_S_TERMINATED },
	{ TM_S_COMPLETED,  TM_EV_REQUEST,    TM_A_RESEND,                                              TM_S_COMPLETED },
	{ TM_S_COMPLETED,  TM_EV_RETRANSMIT, TM_A_RESEND | TM_A_ARM_RETRANSMIT,                        TM_S_COMPLETED },
	{ TM_S_COMPLETED,  TM_EV_ACK,        TM_A_STOP_RETRANSMIT | TM_A_ARM_WAIT,                     TM_S_CONFIRMED },
	{ TM_S_COMPLETED,  TM_EV_GIVE_UP,    TM_A_STOP_RETRANSMIT | TM_A_ARM_WAIT,                     TM_S_CONFIRMED },
	{ TM_S_CONFIRMED,  TM_EV_WAIT_OVER,  TM_A_END,                                                 TM_S_TERMINATED },
};

static const struct edge uas_other[] = {
	{ TM_S_TRYING,     TM_EV_TX_1XX,     TM_A_SEND,                                                TM_S_PROCEEDING },
	{ TM_S_TRYING,     TM_EV_TX_2XX,     TM_A_SEND | TM_A_ARM_WAIT,                                TM_S_COMPLETED },
	{ TM_S_TRYING,     TM_EV_TX_FINAL,   TM_A_SEND | TM_A_ARM_WAIT,                                TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_REQUEST,    TM_A_RESEND,                                              TM_S_PROCEEDING },
	{ TM_S_PROCEEDING, TM_EV_TX_1XX,     TM_A_SEND,                                                TM_S_PROCEEDING },
	{ TM_S_PROCEEDING, TM_EV_TX_2XX,     TM_A_SEND | TM_A_ARM_WAIT,                                TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_TX_FINAL,   TM_A_SEND | TM_A_ARM_WAIT,                                TM_S_COMPLETED },
	{ TM_S_COMPLETED,  TM_EV_REQUEST,    TM_A_RESEND,                                              TM_S_COMPLETED },
	{ TM_S_COMPLETED,  TM_EV_WAIT_OVER,  TM_A_END,                                                 TM_S_TERMINATED },
};

static const struct edge uac_invite[] = {
	{ TM_S_TRYING,     TM_EV_RETRANSMIT, TM_A_RESEND | TM_A_ARM_RETRANSMIT,                        TM_S_TRYING },
	{ TM_S_TRYING,     TM_EV_GIVE_UP,    TM_A_STOP_RETRANSMIT | TM_A_FAKE,                         TM_S_COMPLETED },
	{ TM_S_TRYING,     TM_EV_SEND_FAILED, TM_A_STOP_RETRANSMIT | TM_A_FAKE,                        TM_S_COMPLETED },
	{ TM_S_TRYING,     TM_EV_RX_1XX,     TM_A_STOP_RETRANSMIT | TM_A_ARM_INVITE | TM_A_PASS,       TM_S_PROCEEDING },
	{ TM_S_TRYING,     TM_EV_RX_2XX,     TM_A_STOP_RETRANSMIT | TM_A_PASS,                         TM_S_ACCEPTED },
	{ TM_S_TRYING,     TM_EV_RX_FINAL,   TM_A_STOP_RETRANSMIT | TM_A_ACK | TM_A_PASS,              TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_RX_1XX,     TM_A_ARM_INVITE | TM_A_PASS,                              TM_S_PROCEEDING },
	{ TM_S_PROCEEDING, TM_EV_RX_2XX,     TM_A_PASS,                                                TM_S_ACCEPTED },
	{ TM_S_PROCEEDING, TM_EV_RX_FINAL,   TM_A_ACK | TM_A_PASS,                                     TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_GIVE_UP,    TM_A_FAKE,                                                TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_SEND_FAILED, TM_A_FAKE,                                               TM_S_COMPLETED },
	{ TM_S_COMPLETED,  TM_EV_RX_FINAL,   TM_A_ACK,                                                 TM_S_COMPLETED },
	/* A 2xx after we gave the branch up, or after a fork was cancelled: still a call; the caller must hear of it. */
	{ TM_S_COMPLETED,  TM_EV_RX_2XX,     TM_A_PASS,                                                TM_S_ACCEPTED },
	{ TM_S_ACCEPTED,   TM_EV_RX_2XX,     TM_A_PASS,                                                TM_S_ACCEPTED },
};

static const struct edge uac_other[] = {
	{ TM_S_TRYING,     TM_EV_RETRANSMIT, TM_A_RESEND | TM_A_ARM_RETRANSMIT,                        TM_S_TRYING },
	{ TM_S_TRYING,     TM_EV_GIVE_UP,    TM_A_STOP_RETRANSMIT | TM_A_FAKE,                         TM_S_COMPLETED },
	{ TM_S_TRYING,     TM_EV_SEND_FAILED, TM_A_STOP_RETRANSMIT | TM_A_FAKE,                        TM_S_COMPLETED },
	{ TM_S_TRYING,     TM_EV_RX_1XX,     TM_A_PASS,                                                TM_S_PROCEEDING },
	{ TM_S_TRYING,     TM_EV_RX_2XX,     TM_A_STOP_RETRANSMIT | TM_A_PASS,                         TM_S_COMPLETED },
	{ TM_S_TRYING,     TM_EV_RX_FINAL,   TM_A_STOP_RETRANSMIT | TM_A_PASS,                         TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_RETRANSMIT, TM_A_RESEND | TM_A_ARM_RETRANSMIT,                        TM_S_PROCEEDING },
	{ TM_S_PROCEEDING, TM_EV_GIVE_UP,    TM_A_STOP_RETRANSMIT | TM_A_FAKE,                         TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_SEND_FAILED, TM_A_STOP_RETRANSMIT | TM_A_FAKE,                        TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_RX_1XX,     TM_A_PASS,                                                TM_S_PROCEEDING },
	{ TM_S_PROCEEDING, TM_EV_RX_2XX,     TM_A_STOP_RETRANSMIT | TM_A_PASS,                         TM_S_COMPLETED },
	{ TM_S_PROCEEDING, TM_EV_RX_FINAL,   TM_A_STOP_RETRANSMIT | TM_A_PASS,                         TM_S_COMPLETED },
};

#define ROWS(t) t, sizeof(t) / sizeof((t)[0])
static const struct { const struct edge *row; unsigned n; } tables[TM_N_MACHINES] = {
	[TM_UAS_INVITE] = { ROWS(uas_invite) }, [TM_UAS_OTHER] = { ROWS(uas_other) },
	[TM_UAC_INVITE] = { ROWS(uac_invite) }, [TM_UAC_OTHER] = { ROWS(uac_other) },
};
/* clang-format on */

struct tm_step tm_fsm_step(enum tm_machine m, enum tm_state s, enum tm_event_kind ev)
{
	/* Unfolded on first use: one load per event afterwards. Every process computes the same bytes. */
	static struct tm_step flat[TM_N_MACHINES][TM_N_STATES][TM_N_EVENTS];
	static bool ready;

	if (!ready) {
		for (unsigned i = 0; i < TM_N_MACHINES; i++) {
			for (unsigned j = 0; j < TM_N_STATES; j++)
				for (unsigned k = 0; k < TM_N_EVENTS; k++)
					flat[i][j][k].next = (uint8_t)j;
			for (unsigned r = 0; r < tables[i].n; r++) {
				const struct edge *e = &tables[i].row[r];

				flat[i][e->state][e->event] = (struct tm_step){ e->actions, e->next };
			}
		}
		ready = true;
	}
	return flat[m][s][ev];
}

const char *tm_state_name(enum tm_state s)
{
	static const char *const names[TM_N_STATES] = { "trying", "proceeding", "accepted", "completed", "confirmed", "terminated" };

	return s < TM_N_STATES ? names[s] : "?";
}
