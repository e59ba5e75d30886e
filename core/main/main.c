/* SPDX-License-Identifier: BSD-2-Clause */
/* Start here. */
int main(void)
{
	return 0;
}
