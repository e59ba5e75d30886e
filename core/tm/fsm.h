/* SPDX-License-Identifier: BSD-2-Clause */
/* The four state machines of RFC 3261, 17 with RFC 6026, as tables. Pure: no time, no memory, no sending. */
#ifndef RF_TM_FSM_H
#define RF_TM_FSM_H

#include <stdint.h>

enum tm_machine { TM_UAS_INVITE, TM_UAS_OTHER, TM_UAC_INVITE, TM_UAC_OTHER, TM_N_MACHINES };

enum tm_state {
	TM_S_TRYING,      /* server: nothing sent yet; client: nothing heard yet ("calling") */
	TM_S_PROCEEDING,
	TM_S_ACCEPTED,    /* INVITE and 2xx: the end points retransmit (RFC 6026) */
	TM_S_COMPLETED,
	TM_S_CONFIRMED,   /* server INVITE: the ACK came */
	TM_S_TERMINATED,
	TM_N_STATES
};

enum tm_event_kind {
	TM_EV_REQUEST,    /* server: the request again */
	TM_EV_ACK,
	TM_EV_TX_1XX, TM_EV_TX_2XX, TM_EV_TX_FINAL,  /* server: the script or a branch wants it sent */
	TM_EV_RX_1XX, TM_EV_RX_2XX, TM_EV_RX_FINAL,  /* client */
	TM_EV_RETRANSMIT, /* timers A, E, G */
	TM_EV_GIVE_UP,    /* timers B, F, H */
	TM_EV_WAIT_OVER,  /* timers D, I, J, K, L, M */
	TM_EV_SEND_FAILED, /* client: transport error */
	TM_N_EVENTS
};

enum tm_action {
	TM_A_SEND = 1,          /* server: send it and keep it */
	TM_A_RESEND = 2,        /* the last thing sent, again */
	TM_A_ARM_RETRANSMIT = 4,
	TM_A_STOP_RETRANSMIT = 8,
	TM_A_ARM_GIVE_UP = 16,  /* server: wait for the ACK */
	TM_A_ARM_WAIT = 32,
	TM_A_PASS = 64,         /* client: to the transaction user */
	TM_A_ACK = 128,         /* client: acknowledge */
	TM_A_ARM_INVITE = 256,  /* client: restart with fr_inv_timer */
	TM_A_FAKE = 512,        /* client: a local final reply takes the place of one */
	TM_A_END = 1024,
};

struct tm_step {
	uint16_t actions; /* bits of enum tm_action; 0: ignored */
	uint8_t next;     /* enum tm_state */
};

/* What an event does in a state. Unlisted pairs are ignored: no action, same state. */
struct tm_step tm_fsm_step(enum tm_machine m, enum tm_state s, enum tm_event_kind ev);
const char *tm_state_name(enum tm_state s);

#endif
