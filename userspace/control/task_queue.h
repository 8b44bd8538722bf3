// SPDX-License-Identifier: Apache-2.0
// Work for the writer thread, in the order in which it was posted; a descriptor tells when there is some, so that
// the thread can wait for other things as well. Post() and Close(): any thread; fd() and Take(): the writer's.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"

namespace shunt {

class TaskQueue {
 public:
  using Task = std::function<void()>;

  static Result<std::unique_ptr<TaskQueue>> Create();

  bool Post(Task task);  // false: closed, the task will not run
  void Close();          // what was posted before still runs

  int fd() const { return event_.get(); }  // readable: Take() has something to say
  Task Take();                             // waits; empty: closed, and everything posted was taken

 private:
  explicit TaskQueue(UniqueFd event) : event_(std::move(event)) {}
  void Signal();

  UniqueFd event_;  // counts the tasks, and one for Close()
  std::mutex mutex_;
  bool closed_ = false;     // guarded by mutex_
  std::deque<Task> tasks_;  // guarded by mutex_
};

}  // namespace shunt
