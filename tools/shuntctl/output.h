// SPDX-License-Identifier: Apache-2.0
// Where shuntctl's words go: results to stdout, everything else to stderr; colour only on a terminal.
#pragma once

#include <string_view>

#include "userspace/base/result.h"

namespace shunt::ctl {

void Print(std::string_view text);  // to stdout, as it is
void Say(std::string_view text);    // to stderr, with a newline

// An error as its reader needs it: bad input as the lines that name it, anything else behind the program's name.
void Complain(const Error& error);

bool StdoutHasColour();  // a terminal, and no NO_COLOR
bool StderrIsTerminal();

// Whether all that was printed reached its reader (a full disk, say).
Status FinishOutput();

// For who follows something until its reader goes away, which is an end like any other: SIGPIPE is ignored from
// OutliveReader() on, and Deliver() says whether anybody reads still what was printed so far.
void OutliveReader();
Result<bool> Deliver();

// 0 done, 1 failed, 2 the input cannot be.
int ExitStatusOf(const Status& status);

}  // namespace shunt::ctl
