// SPDX-License-Identifier: Apache-2.0
// Mutual TLS for the API over TCP: the listening socket, the files and their checks, gRPC's credentials made of them,
// and the names in a client's certificate. Called by the server (server.cc), and by main before it gives up rights. Not
// here: who may do what (guarded_service.h).
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <set>
#include <string>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"
#include "userspace/net/endpoint.h"
#include "userspace/rpc/server.h"

namespace shunt {

// All three can be read, the key by its owner alone, and key and certificate belong together.
Status CheckTlsFiles(const TlsFiles& files);

// TLS 1.2 or 1.3; a client without a certificate of that authority gets no further than the handshake. Files that
// change are read again within seconds. After CheckTlsFiles().
std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(const TlsFiles& files);

// Common name and alternative names of the certificate that the caller showed.
std::set<std::string> NamesOfCaller(const grpc::ServerContext& context);

}  // namespace shunt
