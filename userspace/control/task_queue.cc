// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/task_queue.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>

namespace shunt {

Result<std::unique_ptr<TaskQueue>> TaskQueue::Create() {
  UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE));
  if (!event.valid()) return FailErrno("making the writer's queue", errno);
  return std::unique_ptr<TaskQueue>(new TaskQueue(std::move(event)));
}

bool TaskQueue::Post(Task task) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  tasks_.push_back(std::move(task));
  Signal();
  return true;
}

void TaskQueue::Close() {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  closed_ = true;
  Signal();
}

TaskQueue::Task TaskQueue::Take() {
  uint64_t one = 0;
  while (read(event_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  const std::lock_guard lock(mutex_);
  if (tasks_.empty()) return nullptr;
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  return task;
}

void TaskQueue::Signal() {
  const uint64_t one = 1;
  while (write(event_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

}  // namespace shunt
