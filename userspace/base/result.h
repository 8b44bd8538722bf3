// SPDX-License-Identifier: Apache-2.0
// Errors as values: Result<T> and Status are what every function that can fail returns.
// Not here: errors of one subsystem; they are all Error, told apart by kind and message.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace shunt {

enum class ErrorKind {
  kInvalid,   // the caller asked for something that cannot be; nothing changed (exit status 2)
  kNotFound,  // the named object does not exist
  kExists,    // the named object exists already
  kSystem,    // the kernel, a file or a peer said no
};

// `message` reads "what was being done: what went wrong", names the object and, where there is one, the remedy.
// Several problems are several lines.
struct Error {
  ErrorKind kind = ErrorKind::kSystem;
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> Fail(ErrorKind kind, std::string message) {
  return std::unexpected(Error{kind, std::move(message)});
}

// The error of an inner step, told as part of an outer one: "doing: what went wrong".
inline std::unexpected<Error> Context(std::string_view doing, const Error& error) {
  return std::unexpected(Error{error.kind, std::string(doing) + ": " + error.message});
}

// "doing: strerror(error_number)"; error_number is a positive errno value.
std::unexpected<Error> FailErrno(std::string_view doing, int error_number);

}  // namespace shunt
