/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdict list: every way a packet can end, with its XDP action and one sentence. The program, the
 * counters, the CLI, the manual page verdicts(7) and the tests are all made from this one list.
 *
 * The order is the ABI: append at the end of a list, never reorder, never reuse.
 */
#ifndef SHUNT_ABI_VERDICTS_H
#define SHUNT_ABI_VERDICTS_H

/* X(name, XDP action without its prefix, sentence) */
#define SHUNT_VERDICTS(X)                                                                                              \
	X(PASS_NOT_IP, PASS, "Neither IPv4 nor IPv6 (ARP, LLDP, too many VLAN tags); the host's.")                     \
	X(PASS_NOT_VIP, PASS, "No VIP has this destination address, port and protocol; the host's.")                   \
	X(PASS_UNREADABLE, PASS, "Too short or too broken to tell its destination; the host's.")                       \
	X(PASS_ICMP, PASS, "ICMP or ICMPv6 message to the address of a VIP; the host answers it.")                     \
	X(PASS_OTHER_PROTOCOL, PASS, "Neither TCP, UDP nor ICMP, to the address of a VIP; the host's.")                \
	X(TX_ENCAPSULATED, TX, "Encapsulated and sent out of the interface it came in by.")                            \
	X(REDIRECT_ENCAPSULATED, REDIRECT, "Encapsulated and sent out of another interface.")                          \
	X(DROP_TRUNCATED, DROP, "To a VIP, but shorter than its headers say.")                                         \
	X(DROP_MALFORMED, DROP, "To a VIP, but a header contradicts itself.")                                          \
	X(DROP_MAPPED_ADDRESS, DROP, "To a VIP, but an IPv6 packet that carries an IPv4-mapped address.")              \
	X(DROP_FRAGMENT, DROP, "Fragment of a datagram to a VIP; its flow cannot be told.")                            \
	X(DROP_IP_OPTIONS, DROP, "IPv4 options or IPv6 extension headers on a packet to a VIP.")                       \
	X(DROP_NO_REAL, DROP, "The VIP has no real that takes traffic.")                                               \
	X(DROP_NO_NEXT_HOP, DROP, "The next hop of the chosen real is not resolved.")                                  \
	X(DROP_TOO_BIG, DROP, "With the outer header it would exceed the MTU towards the real.")                       \
	X(DROP_NO_HEADROOM, DROP, "The driver left no room in front of the frame for the outer header.")

enum verdict {
	VERDICT_CONTINUE = 0, /* not an end: go on to the next stage; never counted */
#define SHUNT_VERDICT_ENUM(name, action, sentence) VERDICT_##name,
	SHUNT_VERDICTS(SHUNT_VERDICT_ENUM)
#undef SHUNT_VERDICT_ENUM
		VERDICT_COUNT
};

#endif
