/* SPDX-License-Identifier: BSD-2-Clause */
/* The state tables: a walk through each machine, and what must be ignored. */
#include "core/tm/fsm.h"
#include "tests/lib/test_main.h"

/* clang-format off */
static const struct step { enum tm_machine m; enum tm_state s; enum tm_event_kind ev; unsigned actions; enum tm_state next; } steps[] = {
	/* RFC 3261, figure 7 */
	{ TM_UAS_INVITE, TM_S_TRYING, TM_EV_TX_1XX, TM_A_SEND, TM_S_PROCEEDING },
	{ TM_UAS_INVITE, TM_S_PROCEEDING, TM_EV_REQUEST, TM_A_RESEND, TM_S_PROCEEDING },
	{ TM_UAS_INVITE, TM_S_PROCEEDING, TM_EV_TX_FINAL, TM_A_SEND | TM_A_ARM_RETRANSMIT | TM_A_ARM_GIVE_UP, TM_S_COMPLETED },
	{ TM_UAS_INVITE, TM_S_COMPLETED, TM_EV_ACK, TM_A_STOP_RETRANSMIT | TM_A_ARM_WAIT, TM_S_CONFIRMED },
	{ TM_UAS_INVITE, TM_S_COMPLETED, TM_EV_TX_FINAL, 0, TM_S_COMPLETED },
	{ TM_UAS_INVITE, TM_S_CONFIRMED, TM_EV_REQUEST, 0, TM_S_CONFIRMED },
	{ TM_UAS_INVITE, TM_S_CONFIRMED, TM_EV_WAIT_OVER, TM_A_END, TM_S_TERMINATED },
	/* RFC 6026 */
	{ TM_UAS_INVITE, TM_S_PROCEEDING, TM_EV_TX_2XX, TM_A_SEND | TM_A_ARM_WAIT, TM_S_ACCEPTED },
	{ TM_UAS_INVITE, TM_S_ACCEPTED, TM_EV_TX_2XX, TM_A_SEND, TM_S_ACCEPTED },
	{ TM_UAS_INVITE, TM_S_ACCEPTED, TM_EV_TX_FINAL, 0, TM_S_ACCEPTED },
	{ TM_UAS_INVITE, TM_S_ACCEPTED, TM_EV_TX_1XX, 0, TM_S_ACCEPTED },
	{ TM_UAC_INVITE, TM_S_COMPLETED, TM_EV_RX_2XX, TM_A_PASS, TM_S_ACCEPTED },
	/* figure 8 */
	{ TM_UAS_OTHER, TM_S_TRYING, TM_EV_REQUEST, 0, TM_S_TRYING },
	{ TM_UAS_OTHER, TM_S_TRYING, TM_EV_TX_2XX, TM_A_SEND | TM_A_ARM_WAIT, TM_S_COMPLETED },
	{ TM_UAS_OTHER, TM_S_COMPLETED, TM_EV_TX_2XX, 0, TM_S_COMPLETED },
	{ TM_UAS_OTHER, TM_S_COMPLETED, TM_EV_REQUEST, TM_A_RESEND, TM_S_COMPLETED },
	/* figure 5 */
	{ TM_UAC_INVITE, TM_S_TRYING, TM_EV_RETRANSMIT, TM_A_RESEND | TM_A_ARM_RETRANSMIT, TM_S_TRYING },
	{ TM_UAC_INVITE, TM_S_PROCEEDING, TM_EV_RETRANSMIT, 0, TM_S_PROCEEDING },
	{ TM_UAC_INVITE, TM_S_PROCEEDING, TM_EV_RX_FINAL, TM_A_ACK | TM_A_PASS, TM_S_COMPLETED },
	{ TM_UAC_INVITE, TM_S_COMPLETED, TM_EV_RX_FINAL, TM_A_ACK, TM_S_COMPLETED },
	{ TM_UAC_INVITE, TM_S_COMPLETED, TM_EV_RX_1XX, 0, TM_S_COMPLETED },
	{ TM_UAC_INVITE, TM_S_TRYING, TM_EV_GIVE_UP, TM_A_STOP_RETRANSMIT | TM_A_FAKE, TM_S_COMPLETED },
	/* figure 6 */
	{ TM_UAC_OTHER, TM_S_PROCEEDING, TM_EV_RETRANSMIT, TM_A_RESEND | TM_A_ARM_RETRANSMIT, TM_S_PROCEEDING },
	{ TM_UAC_OTHER, TM_S_COMPLETED, TM_EV_RX_2XX, 0, TM_S_COMPLETED },
	{ TM_UAC_OTHER, TM_S_TRYING, TM_EV_RX_FINAL, TM_A_STOP_RETRANSMIT | TM_A_PASS, TM_S_COMPLETED },
};
/* clang-format on */

START_TEST(table)
{
	const struct step *v = &steps[_i];
	struct tm_step s = tm_fsm_step(v->m, v->s, v->ev);

	ck_assert_uint_eq(s.actions, v->actions);
	ck_assert_int_eq(s.next, v->next);
}
END_TEST

START_TEST(terminated_is_the_end)
{
	for (unsigned m = 0; m < TM_N_MACHINES; m++)
		for (unsigned e = 0; e < TM_N_EVENTS; e++)
			ck_assert_uint_eq(tm_fsm_step(m, TM_S_TERMINATED, e).actions, 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("tm/fsm");
	TCase *t = tcase_create("steps");

	tcase_add_loop_test(t, table, 0, (int)(sizeof(steps) / sizeof(steps[0])));
	tcase_add_test(t, terminated_is_the_end);
	suite_add_tcase(s, t);
	return s;
}
