// SPDX-License-Identifier: Apache-2.0
// A network namespace and a bpffs of a test's own, and what tests do in them. Everything is gone with the objects.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "userspace/base/unique_fd.h"

namespace shunt {

// This thread is in a fresh network namespace, with a veth pair v0 - v1 that is up, while this lives.
class NetworkNamespace {
 public:
  NetworkNamespace();
  ~NetworkNamespace();
  NetworkNamespace(const NetworkNamespace&) = delete;
  NetworkNamespace& operator=(const NetworkNamespace&) = delete;

 private:
  UniqueFd home_;
};

class TemporaryBpffs {
 public:
  TemporaryBpffs();
  ~TemporaryBpffs();
  TemporaryBpffs(const TemporaryBpffs&) = delete;
  TemporaryBpffs& operator=(const TemporaryBpffs&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A shell command that must succeed.
void Shell(const std::string& command);

// The id of the XDP program on an interface, 0 if it has none.
uint32_t XdpProgramId(const std::string& interface);
// Somebody else's XDP program, which passes every packet; returns its id.
uint32_t AttachForeignProgram(const std::string& interface);

// Sends one Ethernet frame out of an interface.
void SendFrame(const std::string& interface, std::span<const uint8_t> frame);

// Waits until it is so, five seconds at most; false if it never was.
bool Comes(const std::function<bool()>& wanted);

// What a piece of code wrote to standard error, by whatever means.
class CapturedStderr {
 public:
  CapturedStderr();
  ~CapturedStderr();
  CapturedStderr(const CapturedStderr&) = delete;
  CapturedStderr& operator=(const CapturedStderr&) = delete;
  std::string text() const;

 private:
  UniqueFd file_;
  UniqueFd before_;
};

}  // namespace shunt
