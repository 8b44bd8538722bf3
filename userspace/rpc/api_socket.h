// SPDX-License-Identifier: Apache-2.0
// The API's Unix socket, listening: one daemon per path, who may open it, what a dead daemon left there. Opened by main
// before it gives up rights. Not here: who connects (acceptor.h), what is answered (service.h).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"

namespace shunt {

// Mode 0660, from the first moment. The socket's file goes with this, where its folder allows that.
class ApiSocket {
 public:
  // `owner`: of a folder that is made for it, else nobody's business; `group`: may open the socket, unset: our own. A
  // socket that nobody answers on is replaced; one that somebody answers on, or a file of another kind, is an error.
  struct Owner {
    uid_t user = 0;
    gid_t group = 0;
  };
  static Result<ApiSocket> Open(const std::string& path, const std::optional<Owner>& owner = std::nullopt);
  ApiSocket(ApiSocket&& other) noexcept
      : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, "")), inode_(other.inode_) {}
  ApiSocket& operator=(ApiSocket&& other) = delete;
  ~ApiSocket();

  int fd() const { return fd_.get(); }

 private:
  ApiSocket(UniqueFd fd, std::string path, ino_t inode) : fd_(std::move(fd)), path_(std::move(path)), inode_(inode) {}

  UniqueFd fd_;
  std::string path_;  // empty: moved from
  ino_t inode_ = 0;
};

}  // namespace shunt
