// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/client.h"

#include <fmt/format.h>
#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <tuple>
#include <utility>

#include "userspace/base/unique_fd.h"
#include "userspace/rpc/convert.h"
#include "userspace/rpc/shunt.grpc.pb.h"

namespace shunt::ctl {
namespace {

using std::chrono::seconds;
constexpr seconds kReadDeadline{60};
constexpr seconds kChangeDeadline{600};  // a large configuration is many map writes

// Where a daemon is, as messages name it.
std::unexpected<Error> CannotReach(const std::string& where, std::string_view why) {
  return Fail(ErrorKind::kSystem,
              fmt::format("cannot reach shuntd at {}: {}; is it running? (systemctl status shuntd)", where, why));
}

std::unexpected<Error> UnknownCall(const std::string& where) {
  return Fail(ErrorKind::kSystem,
              fmt::format("shuntd at {} does not know this call; are shuntctl and shuntd of the same version?", where));
}

// gRPC tells "no such file" and "not allowed" apart only deep inside its own words, so the socket is tried first.
Status TryConnect(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.empty() || socket_path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorKind::kInvalid, fmt::format("--socket {}: its path must have 1 to {} characters", socket_path,
                                                 sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return FailErrno("opening a socket", errno);
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return {};
  if (errno == EACCES || errno == EPERM) {
    return Fail(ErrorKind::kSystem,
                fmt::format("cannot reach shuntd at {}: {}; run shuntctl as root or as a member of the "
                            "socket's group",
                            socket_path, std::strerror(errno)));
  }
  return CannotReach(socket_path, std::strerror(errno));
}

Result<std::string> ReadFile(const char* option, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.is_open() && !file.bad() && !text.empty()) return text;
  return Fail(ErrorKind::kSystem, fmt::format("{} {}: it cannot be read, or is empty", option, path));
}

}  // namespace

struct Client::Impl {
  std::string where;
  std::unique_ptr<v1::Shunt::Stub> stub;

  template <class Request, class Reply>
  Result<Reply> Call(grpc::Status (v1::Shunt::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                     const Request& request, seconds deadline) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    Reply reply;
    const grpc::Status status = ((*stub).*method)(&context, request, &reply);
    if (status.ok()) return reply;
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) return CannotReach(where, status.error_message());
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      return Fail(ErrorKind::kSystem, fmt::format("shuntd at {} did not answer within {} seconds; its log may say why "
                                                  "(journalctl -u shuntd)",
                                                  where, deadline.count()));
    }
    if (status.error_code() == grpc::StatusCode::CANCELLED) {
      return Fail(ErrorKind::kSystem, fmt::format("shuntd at {} stopped before it answered", where));
    }
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) return UnknownCall(where);
    return std::unexpected(FromGrpc(status));
  }
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Connect(const std::string& socket_path) {
  if (const auto status = TryConnect(socket_path); !status) return std::unexpected(status.error());
  return Make(socket_path, "unix:" + socket_path, grpc::InsecureChannelCredentials());
}

Result<std::unique_ptr<Client>> Client::ConnectTls(const TlsTarget& target) {
  grpc::SslCredentialsOptions options;
  for (const auto& [flag, file, text] : {std::tuple("--tls-ca", &target.ca, &options.pem_root_certs),
                                         std::tuple("--tls-certificate", &target.certificate, &options.pem_cert_chain),
                                         std::tuple("--tls-key", &target.key, &options.pem_private_key)}) {
    auto read = ReadFile(flag, *file);
    if (!read) return std::unexpected(read.error());
    *text = std::move(*read);
  }
  return Make(target.address, "dns:///" + target.address, grpc::SslCredentials(options));
}

Result<std::unique_ptr<Client>> Client::Make(const std::string& where, const std::string& target,
                                             const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  gpr_set_log_function([](gpr_log_func_args*) {});  // what matters reaches the user as an error
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(kMaxRequestBytes);
  arguments.SetMaxReceiveMessageSize(kMaxReplyBytes);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  auto impl = std::make_unique<Impl>();
  impl->where = where;
  impl->stub = v1::Shunt::NewStub(grpc::CreateCustomChannel(target, credentials, arguments));
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

using Stub = v1::Shunt::Stub;

Result<v1::ChangeReply> Client::Apply(const v1::ApplyRequest& request) {
  return impl_->Call(&Stub::Apply, request, kChangeDeadline);
}
Result<v1::ChangeReply> Client::AddVip(const v1::VipRequest& request) {
  return impl_->Call(&Stub::AddVip, request, kChangeDeadline);
}
Result<v1::ChangeReply> Client::SetVip(const v1::VipRequest& request) {
  return impl_->Call(&Stub::SetVip, request, kChangeDeadline);
}
Result<v1::ChangeReply> Client::RemoveVip(const v1::RemoveVipRequest& request) {
  return impl_->Call(&Stub::RemoveVip, request, kChangeDeadline);
}
Result<v1::ChangeReply> Client::AddReal(const v1::RealRequest& request) {
  return impl_->Call(&Stub::AddReal, request, kChangeDeadline);
}
Result<v1::ChangeReply> Client::SetReal(const v1::RealRequest& request) {
  return impl_->Call(&Stub::SetReal, request, kChangeDeadline);
}
Result<v1::ChangeReply> Client::RemoveReal(const v1::RemoveRealRequest& request) {
  return impl_->Call(&Stub::RemoveReal, request, kChangeDeadline);
}
Result<v1::ChangeReply> Client::SetHost(const v1::HostRequest& request) {
  return impl_->Call(&Stub::SetHost, request, kChangeDeadline);
}
Result<v1::ChangeReply> Client::Reload() { return impl_->Call(&Stub::Reload, v1::ReloadRequest(), kChangeDeadline); }
Result<v1::ChangeReply> Client::Rollback(const v1::RollbackRequest& request) {
  return impl_->Call(&Stub::Rollback, request, kChangeDeadline);
}
Result<v1::ConfirmReply> Client::Confirm() {
  return impl_->Call(&Stub::Confirm, v1::ConfirmRequest(), kChangeDeadline);
}
Result<v1::Generations> Client::ListGenerations(const v1::ListGenerationsRequest& request) {
  return impl_->Call(&Stub::ListGenerations, request, kReadDeadline);
}
Result<v1::Differences> Client::DiffGenerations(const v1::DiffGenerationsRequest& request) {
  return impl_->Call(&Stub::DiffGenerations, request, kReadDeadline);
}
Result<v1::Config> Client::GetConfig() { return impl_->Call(&Stub::GetConfig, v1::GetConfigRequest(), kReadDeadline); }
Result<v1::State> Client::GetState() { return impl_->Call(&Stub::GetState, v1::GetStateRequest(), kReadDeadline); }
Result<v1::Verdicts> Client::GetVerdicts() {
  return impl_->Call(&Stub::GetVerdicts, v1::GetVerdictsRequest(), kReadDeadline);
}
Result<v1::Flows> Client::ListFlows(const v1::ListFlowsRequest& request) {
  return impl_->Call(&Stub::ListFlows, request, kReadDeadline);
}
Result<v1::Explanation> Client::Explain(const v1::ExplainRequest& request) {
  return impl_->Call(&Stub::Explain, request, kReadDeadline);
}

Result<v1::Announcements> Client::GetAnnouncements() {
  return impl_->Call(&Stub::GetAnnouncements, v1::GetAnnouncementsRequest(), kReadDeadline);
}
Result<v1::Digests> Client::GetDigests() {
  return impl_->Call(&Stub::GetDigests, v1::GetDigestsRequest(), kReadDeadline);
}
Result<v1::HealthState> Client::GetHealth(const v1::GetHealthRequest& request) {
  return impl_->Call(&Stub::GetHealth, request, kReadDeadline);
}
Result<v1::Events> Client::ListEvents(const v1::EventsRequest& request) {
  return impl_->Call(&Stub::ListEvents, request, kReadDeadline);
}

struct EventStream::Impl {
  std::string where;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::Event>> reader;
  std::atomic<bool> cancelled = false;
  bool ended = false;  // the status was taken
};

EventStream::EventStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

EventStream::~EventStream() {
  Cancel();
  if (!impl_->ended) impl_->reader->Finish();
}

void EventStream::Cancel() {
  impl_->cancelled = true;
  impl_->context.TryCancel();
}

Result<std::optional<v1::Event>> EventStream::Next() {
  v1::Event event;
  if (!impl_->ended && impl_->reader->Read(&event)) return event;
  if (std::exchange(impl_->ended, true)) return std::nullopt;
  const grpc::Status status = impl_->reader->Finish();
  if (impl_->cancelled) return std::nullopt;
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) return UnknownCall(impl_->where);
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE || status.error_code() == grpc::StatusCode::CANCELLED) {
    return Fail(ErrorKind::kSystem, fmt::format("shuntd at {} went away: {}; when it runs again, follow again",
                                                impl_->where, status.error_message()));
  }
  return std::unexpected(FromGrpc(status));
}

std::unique_ptr<EventStream> Client::WatchEvents(const v1::EventsRequest& request) {
  auto impl = std::make_unique<EventStream::Impl>();
  impl->where = impl_->where;
  impl->reader = impl_->stub->WatchEvents(&impl->context, request);
  return std::unique_ptr<EventStream>(new EventStream(std::move(impl)));
}

}  // namespace shunt::ctl
