// SPDX-License-Identifier: Apache-2.0
// Prints the manual page shunt-verdicts(7) from the ABI's verdict list, so that page and program cannot differ.
// Run by the build; see CMakeLists.txt.
#include <shunt/abi_verdicts.h>

#include <cstdio>

namespace {

struct Row {
  const char* name;
  const char* action;
  const char* sentence;
};

#define SHUNT_VERDICT_ROW(name, action, sentence) {#name, #action, sentence},
constexpr Row kRows[] = {SHUNT_VERDICTS(SHUNT_VERDICT_ROW)};
#undef SHUNT_VERDICT_ROW

constexpr char kHead[] = R"(.\" SPDX-License-Identifier: Apache-2.0
.\" Generated from bpf/include/shunt/abi_verdicts.h. Do not edit.
.Dd November 21, 2026
.Dt SHUNT-VERDICTS 7
.Os Shunt
.Sh NAME
.Nm shunt-verdicts
.Nd how a packet ends in the Shunt load balancer
.Sh DESCRIPTION
Every packet that the balancer's XDP program receives ends in exactly one verdict, and every verdict is counted:
the sum of all counts is the number of packets received.
.Ql shuntctl verdicts
shows the counts,
.Ql shuntctl explain
the verdict of one flow and why,
.Ql shuntctl replay
the verdict of every frame of a capture.
.Pp
The first word of a name says what becomes of the packet:
.Bl -tag -width REDIRECT
.It PASS
it goes on to the host's network stack, unchanged
.Pq Dv XDP_PASS
.It TX
it leaves, encapsulated, by the interface it came in by
.Pq Dv XDP_TX
.It REDIRECT
it leaves, encapsulated, by another interface
.Pq Dv XDP_REDIRECT
.It DROP
it is dropped
.Pq Dv XDP_DROP
.El
.Pp
A packet is dropped only when it is known to be for a VIP.
.Sh VERDICTS
.Bl -tag -width Ds
)";

constexpr char kTail[] = R"(.El
.Sh SEE ALSO
.Xr shuntctl 8 ,
.Xr shuntd 8
)";

}  // namespace

int main() {
  std::fputs(kHead, stdout);
  for (const Row& row : kRows) std::printf(".It Dv %s Pq Dv XDP_%s\n%s\n", row.name, row.action, row.sentence);
  std::fputs(kTail, stdout);
  return std::ferror(stdout) ? 1 : 0;
}
