// SPDX-License-Identifier: Apache-2.0
// The daemon as shuntctl's verbs see it: one call each, errors as values. gRPC stays in client.cc.
#pragma once

#include <memory>
#include <string>

#include "userspace/base/result.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt::ctl {

class Client {
 public:
  // Fails if nobody answers on the socket, with the remedy.
  static Result<std::unique_ptr<Client>> Connect(const std::string& socket_path);
  ~Client();

  Result<v1::ChangeReply> Apply(const v1::ApplyRequest& request);
  Result<v1::ChangeReply> AddVip(const v1::VipRequest& request);
  Result<v1::ChangeReply> SetVip(const v1::VipRequest& request);
  Result<v1::ChangeReply> RemoveVip(const v1::RemoveVipRequest& request);
  Result<v1::ChangeReply> AddReal(const v1::RealRequest& request);
  Result<v1::ChangeReply> SetReal(const v1::RealRequest& request);
  Result<v1::ChangeReply> RemoveReal(const v1::RemoveRealRequest& request);
  Result<v1::Config> GetConfig();
  Result<v1::State> GetState();
  Result<v1::Verdicts> GetVerdicts();
  Result<v1::Flows> ListFlows(const v1::ListFlowsRequest& request);
  Result<v1::Explanation> Explain(const v1::ExplainRequest& request);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt::ctl
