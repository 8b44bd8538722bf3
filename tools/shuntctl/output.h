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

// 0 done, 1 failed, 2 the input cannot be.
int ExitStatusOf(const Status& status);

}  // namespace shunt::ctl
